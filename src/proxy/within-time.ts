import type { Clock } from '../clock/clock.js';
import { type Refusal, refusal } from './refusal.js';

const timedOut = (): Refusal => refusal('ERR_TIMEOUT', 'the tunnel took too long to open');

/**
 * What `open` says, or a timeout when it takes too long: then it is told to stop, and what it opens all the same is
 * discarded. Never rejects.
 */
export function beforeTimeout<T extends { readonly kind: 'open' }>(
  open: () => Promise<T | Refusal>,
  discard: (late: T) => void,
  stop: () => void,
  clock: Clock,
  milliseconds: number,
): Promise<T | Refusal> {
  return new Promise((resolve) => {
    let late = false;
    const timer = clock.setTimeout(() => {
      late = true;
      stop();
      resolve(timedOut());
    }, milliseconds);
    const settle = (outcome: T | Refusal): void => {
      clock.clearTimeout(timer);
      if (!late) resolve(outcome);
      else if (outcome.kind === 'open') discard(outcome);
    };
    open().then(settle, (error: unknown) => settle(refusal('ERR_INTERNAL', String(error))));
  });
}

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
      settle(timedOut());
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
