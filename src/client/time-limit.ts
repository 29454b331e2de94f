import type { Clock } from '../clock/clock.js';
import { BautaError } from '../protocol/bauta-error.js';
import type { ErrorCode } from '../protocol/failures.js';

/** A signal that aborts when its time is over or one of others does; it tells which as an error of the table. */
export interface TimeLimit extends Disposable {
  readonly signal: AbortSignal;
  /** Milliseconds left, at least 1. */
  left(): number;
  /** What an `ERR_ABORTED` that came of this signal means; `late` where its time was over, default `ERR_TIMEOUT`. */
  explain(error: unknown, late?: ErrorCode): unknown;
}

/**
 * `closed` stands for the end of what is used (`ERR_CLOSED`), `signal` for its user's wish (`ERR_ABORTED`).
 * Disposing lets go of all of them. (`AbortSignal.any` would leave a trace in a long-lived signal each time.)
 */
export function startTimeLimit(
  clock: Clock,
  milliseconds: number,
  signal: AbortSignal | undefined,
  closed: AbortSignal,
): TimeLimit {
  const limit = new AbortController();
  const end = clock.now() + milliseconds;
  let late = false;
  const abort = (): void => limit.abort();
  const timer = clock.setTimeout(() => {
    late = true;
    abort();
  }, milliseconds);
  for (const other of [signal, closed]) {
    if (other?.aborted) abort();
    else other?.addEventListener('abort', abort, { once: true });
  }
  return {
    signal: limit.signal,
    left: () => Math.max(1, end - clock.now()),
    explain(error, code = 'ERR_TIMEOUT') {
      if (!(error instanceof BautaError) || error.code !== 'ERR_ABORTED') return error;
      if (signal?.aborted) return new BautaError('ERR_ABORTED', { cause: signal.reason });
      if (closed.aborted) return new BautaError('ERR_CLOSED');
      return late ? new BautaError(code, { detail: `${milliseconds} ms` }) : error;
    },
    [Symbol.dispose]() {
      clock.clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      closed.removeEventListener('abort', abort);
    },
  };
}
