import type { Clock } from '../clock/clock.js';
import { type Refusal, refusal } from './refusal.js';

/**
 * What `open` says, or a timeout when it takes too long or the client has gone; what is opened later than that
 * is discarded. Never rejects.
 */
export function withinTime<T extends { readonly kind: 'open' }>(
  open: (signal: AbortSignal) => Promise<T | Refusal>,
  discard: (late: T) => void,
  gone: AbortSignal,
  clock: Clock,
  milliseconds: number,
): Promise<T | Refusal> {
  return new Promise((resolve) => {
    const limit = new AbortController();
    const over = (): void => {
      limit.abort();
      settle(refusal('ERR_TIMEOUT', 'the tunnel took too long to open'));
    };
    const settle = (outcome: T | Refusal): void => {
      clock.clearTimeout(timer);
      gone.removeEventListener('abort', over);
      resolve(outcome);
    };
    const timer = clock.setTimeout(over, milliseconds);
    gone.addEventListener('abort', over, { once: true });
    open(limit.signal).then(
      (outcome) => {
        if (limit.signal.aborted && outcome.kind === 'open') discard(outcome);
        else settle(outcome);
      },
      (error: unknown) => settle(refusal('ERR_INTERNAL', String(error))),
    );
  });
}
