import type { Clock } from '../clock/clock.js';

/** A bucket of `burst` tokens that fills with `perSecond`. */
export interface RateLimit {
  readonly burst: number;
  readonly perSecond: number;
}

/** Takes one token; false when the bucket is empty. */
export type Spend = () => boolean;

/** A token bucket, full at the start. */
export function createRateLimit(clock: Clock, limit: RateLimit): Spend {
  let tokens = limit.burst;
  let at = clock.now();
  return () => {
    const now = clock.now();
    tokens = Math.min(limit.burst, tokens + ((now - at) * limit.perSecond) / 1000);
    at = now;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };
}
