import type { Clock, Timer } from '../clock/clock.js';
import { LONGEST_TIMER } from './longest-timer.js';
import { UpstreamError } from './upstream-error.js';

/** A checkout that could not be served at once. */
export interface Waiter<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export interface WaiterOptions {
  readonly clock: Clock;
  /** Milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  /** Its time is over or its signal aborted: it leaves. */
  readonly left: () => void;
}

/** Settles once; its own limits hold whatever it waits for. */
export function createWaiter<T>(options: WaiterOptions): Waiter<T> {
  const { clock, signal, timeout } = options;
  let settled = false;
  let onResolve: (value: T) => void = () => undefined;
  let onReject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((resolve, reject) => {
    onResolve = resolve;
    onReject = reject;
  });
  const settle = (): boolean => {
    if (settled) return false;
    settled = true;
    clock.clearTimeout(timer);
    signal?.removeEventListener('abort', aborted);
    return true;
  };
  const leave = (error: UpstreamError): void => {
    if (!settle()) return;
    onReject(error);
    options.left();
  };
  const aborted = (): void => leave(new UpstreamError({ kind: 'aborted', of: 'checkout' }, signal?.reason));
  const timer: Timer = clock.setTimeout(
    () => leave(new UpstreamError({ kind: 'timeout', of: 'checkout', after: timeout })),
    Math.min(timeout, LONGEST_TIMER),
  );
  signal?.addEventListener('abort', aborted, { once: true });

  return {
    promise,
    resolve(value) {
      if (settle()) onResolve(value);
    },
    reject(error) {
      if (settle()) onReject(error);
    },
  };
}
