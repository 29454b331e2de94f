import type { Clock } from '../clock/clock.js';
import { type RaceOutcome, staggeredRace } from './staggered-race.js';

/** RFC 8305 section 5: Connection Attempt Delay, milliseconds. */
const ATTEMPT_DELAY = 250;

/**
 * Dials the addresses in their order, each 250 ms after the one before or at once after its failure
 * (RFC 8305 section 5). The first that is up wins, and the others are aborted. Never rejects.
 */
export function raceAddresses<T>(
  addresses: readonly string[],
  dial: (address: string, signal: AbortSignal) => Promise<T>,
  discard: (value: T) => void,
  clock: Clock,
  signal: AbortSignal,
): Promise<RaceOutcome<T>> {
  const contenders = addresses.map((address) => ({
    delay: ATTEMPT_DELAY,
    start: (cancelled: AbortSignal) => dial(address, cancelled),
  }));
  return staggeredRace({ contenders, discard, clock }, signal);
}
