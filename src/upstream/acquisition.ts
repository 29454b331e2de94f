import type { Clock, Timer } from '../clock/clock.js';
import { LONGEST_TIMER } from './longest-timer.js';
import type { AcquiredStream } from './session.js';
import { UpstreamError } from './upstream-error.js';

/** An acquire under way: done once the session is registered and the stream has its id. */
export interface Acquisition {
  readonly promise: Promise<AcquiredStream>;
  readonly settled: boolean;
  /** Its conditions may hold now. */
  check(): void;
  /** From here on its limits run. */
  wait(): void;
  fail(error: unknown): void;
}

export interface AcquisitionOptions {
  readonly clock: Clock;
  /** Milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  /** The stream, once the acquire is complete. */
  readonly complete: () => AcquiredStream | undefined;
  readonly succeeded: () => void;
  readonly failed: () => void;
}

export function createAcquisition(options: AcquisitionOptions): Acquisition {
  const { clock, signal, timeout } = options;
  let timer: Timer | undefined;
  let resolve: (acquired: AcquiredStream) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<AcquiredStream>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });

  const settle = (): void => {
    acquisition.settled = true;
    clock.clearTimeout(timer);
    signal?.removeEventListener('abort', aborted);
  };
  const fail = (error: unknown): void => {
    if (acquisition.settled) return;
    settle();
    options.failed();
    reject(error);
  };
  const aborted = (): void => fail(new UpstreamError({ kind: 'aborted', of: 'acquire' }, signal?.reason));

  const acquisition = {
    promise,
    settled: false,
    check() {
      if (acquisition.settled) return;
      const acquired = options.complete();
      if (!acquired) return;
      settle();
      options.succeeded();
      resolve(acquired);
    },
    wait() {
      if (acquisition.settled) return;
      timer = clock.setTimeout(
        () => fail(new UpstreamError({ kind: 'timeout', of: 'acquire', after: timeout })),
        Math.min(timeout, LONGEST_TIMER),
      );
      signal?.addEventListener('abort', aborted, { once: true });
      if (signal?.aborted) aborted();
    },
    fail,
  };
  return acquisition;
}
