import type { Clock } from '../clock/clock.js';
import type { RequestHead } from '../http/request.js';
import type { ExpiryQueue } from './expiry-queue.js';
import type { AcquireOptions, Owner, Reservation } from './owner.js';
import type { AcquiredStream, Session } from './session.js';
import { failureKind, UpstreamError } from './upstream-error.js';

/** A place on a connection of the pool, held for one stream for a limited time. */
export interface Checkout {
  readonly key: string;
  readonly owner: Owner;
  /**
   * Opens the stream; as `Owner.acquireStream`. Where the connection died after it was handed out and before
   * the request was sent, the stream is opened on another one, once.
   */
  acquireStream(head: RequestHead, session: Session, options?: AcquireOptions): Promise<AcquiredStream>;
  /** The same without the second attempt: the stream is opened before this returns, or not at all. */
  acquireStreamOnce(head: RequestHead, session: Session, options?: AcquireOptions): Promise<AcquiredStream>;
  /** Gives the unused place back. Idempotent. */
  cancel(): void;
  /** As `cancel`, and closes the connection when it has never carried a stream and nobody else has a place. */
  discard(): void;
}

export interface CheckoutOptions {
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

export interface CheckoutParts {
  readonly key: string;
  readonly clock: Clock;
  readonly expiry: ExpiryQueue<Checkout>;
  /** Milliseconds for an acquire, where its options do not say. */
  readonly acquireTimeout: number;
  /** Another place, for the one retry. */
  readonly again: (options: CheckoutOptions) => Promise<Checkout>;
}

/** The connection was gone before anything was sent on it. */
function diedBefore(error: unknown): boolean {
  const kind = failureKind(error);
  return kind === 'stopped' || kind === 'draining';
}

export function createCheckout(parts: CheckoutParts, reservation: Reservation, retry: boolean): Checkout {
  const { clock, expiry } = parts;
  let over = false;
  const finish = (): boolean => {
    if (over) return false;
    over = true;
    expiry.remove(place);
    return true;
  };

  const checkout: Checkout = {
    key: parts.key,
    owner: reservation.owner,
    async acquireStream(head, session, options = {}) {
      if (!finish()) throw new UpstreamError({ kind: 'checkout_over' });
      const { timeout = parts.acquireTimeout, signal } = options;
      const deadline = clock.now() + timeout;
      const rest = (): CheckoutOptions => ({
        timeout: Math.max(0, deadline - clock.now()),
        ...(signal ? { signal } : {}),
      });
      try {
        return await reservation.acquireStream(head, session, { ...options, timeout });
      } catch (error) {
        if (!retry || !diedBefore(error)) throw error;
      }
      const next = await parts.again(rest());
      return next.acquireStream(head, session, rest());
    },
    async acquireStreamOnce(head, session, options = {}) {
      if (!finish()) throw new UpstreamError({ kind: 'checkout_over' });
      return reservation.acquireStream(head, session, { timeout: parts.acquireTimeout, ...options });
    },
    cancel() {
      if (finish()) reservation.cancel();
    },
    discard() {
      if (!finish()) return;
      reservation.cancel();
      const { owner } = reservation;
      if (owner.used || owner.load > 0) return;
      void owner.stop({ kind: 'stopped', detail: 'nobody wanted it' });
    },
  };
  const place = expiry.add(checkout);
  return checkout;
}
