import type { Timer } from '../clock/clock.js';
import { adoptConnection } from './adopt-connection.js';
import { checkMaxStreams } from './capacity.js';
import type { Owner, OwnerOptions } from './owner.js';
import type { UpstreamTarget } from './target.js';
import type { TransportConnection, TransportDriver } from './transport.js';
import { UpstreamError } from './upstream-error.js';

/** The one result of a dial, with the tag of whoever asked. */
export type DialResult =
  | { readonly kind: 'up'; readonly tag: string; readonly owner: Owner }
  | { readonly kind: 'failed'; readonly tag: string; readonly error: unknown };

export interface DialOptions extends Omit<OwnerOptions, 'fingerprint'> {
  /** Comes back with the result and becomes the owner's fingerprint. */
  readonly tag: string;
  /** Milliseconds for the whole dial; default 10,000. */
  readonly dialTimeout?: number;
}

/**
 * Opens a connection and makes its owner, so that it never had another. Resolves once with the owner or the
 * reason; after a failure, a time-out or an abort nothing is left behind: a connection that comes up later is
 * closed.
 */
export function dialOwner(
  driver: TransportDriver,
  target: UpstreamTarget,
  options: DialOptions,
  signal: AbortSignal,
): Promise<DialResult> {
  const { clock, tag, dialTimeout = 10_000 } = options;
  return new Promise((resolve) => {
    const cancel = new AbortController();
    let timer: Timer | undefined;
    let over = false;
    const settle = (result: DialResult): void => {
      over = true;
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
      resolve(result);
    };
    const fail = (error: unknown): void => {
      if (over) return;
      settle({ kind: 'failed', tag, error });
      cancel.abort(error);
    };
    const aborted = (): void => fail(new UpstreamError({ kind: 'aborted', of: 'dial' }, signal.reason));
    const up = (connection: TransportConnection): void => {
      if (over) {
        // Too late for whoever asked.
        connection.close().catch(() => undefined);
        return;
      }
      try {
        settle({ kind: 'up', tag, owner: adoptConnection(connection, { ...options, fingerprint: tag }) });
      } catch (error) {
        fail(error);
        connection.close().catch(() => undefined);
      }
    };
    const dial = async (): Promise<TransportConnection> => {
      checkMaxStreams(options.maxStreams);
      return driver.dial(target, cancel.signal);
    };

    if (signal.aborted) {
      aborted();
      return;
    }
    signal.addEventListener('abort', aborted, { once: true });
    timer = clock.setTimeout(
      () => fail(new UpstreamError({ kind: 'timeout', of: 'dial', after: dialTimeout })),
      dialTimeout,
    );
    dial().then(up, fail).catch(fail);
  });
}
