import type { Clock } from '../../clock/clock.js';
import { BautaError } from '../../protocol/bauta-error.js';

/** Rejects with `ERR_ABORTED`. */
export function pause(clock: Clock, milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clock.clearTimeout(timer);
      reject(new BautaError('ERR_ABORTED'));
    };
    const timer = clock.setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, milliseconds);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}

const LOOK_EVERY = 10;

/** Waits until it is so, but no longer than this many milliseconds. Rejects with `ERR_ABORTED`. */
export async function waitFor(
  clock: Clock,
  isSo: () => boolean,
  milliseconds: number,
  signal: AbortSignal,
): Promise<void> {
  const end = clock.now() + milliseconds;
  while (!isSo() && clock.now() < end) await pause(clock, LOOK_EVERY, signal);
}
