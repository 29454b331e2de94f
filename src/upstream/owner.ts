import type { Clock } from '../clock/clock.js';
import type { PeerSettings } from '../http/connection.js';
import type { RequestHead } from '../http/request.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import type { SocketAddress } from '../quic/address.js';
import type { MaxStreams } from './capacity.js';
import type { AcquiredStream, Session } from './session.js';
import type { TransportConnection, TransportStatistics } from './transport.js';
import type { UpstreamFailure } from './upstream-error.js';

/** Times in milliseconds. */
export interface OwnerOptions {
  readonly clock: Clock;
  /** The key under which the connection is known; appears in `info()`. */
  readonly fingerprint?: string;
  /** Default: see `createCapacity`. */
  readonly maxStreams?: MaxStreams;
  /** An unused connection is closed after this; default 30,000, off with 0 or `Infinity`. */
  readonly idleTimeout?: number;
  /** An acquire takes no longer; default 30,000. */
  readonly acquireTimeout?: number;
  /** `stop` resolves after this at the latest; default 5,000. */
  readonly stopTimeout?: number;
  /**
   * A drained connection that does not close by itself stays this long after its last stream, so that the last
   * bytes arrive; default 2,000.
   */
  readonly drainLinger?: number;
  /** The connection belongs to its first session and ends with it (HTTP/1.1). */
  readonly singleUse?: boolean;
  /** Asked when the idle time is over; false begins it anew. */
  readonly mayExpire?: () => boolean;
  readonly events?: OwnerEvents;
}

/** What whoever watches an owner is told, each at once. */
export interface OwnerEvents {
  /** A slot is free again, or the capacity has changed. */
  room?(owner: Owner): void;
  /** It takes no new streams; the running ones finish. */
  draining?(owner: Owner): void;
  /** It is over, and its sessions know; the connection is being closed. */
  stopped?(owner: Owner, failure: UpstreamFailure): void;
  /** Something that a transport or a session threw where nobody waits for it; the owner goes on. */
  fault?(error: unknown): void;
}

export interface AcquireOptions {
  /** Milliseconds; default `acquireTimeout`. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/** A place for one stream, held until it is used or given back. */
export interface Reservation {
  readonly owner: Owner;
  /** As `Owner.acquireStream`, on the place that is held. */
  acquireStream(head: RequestHead, session: Session, options?: AcquireOptions): Promise<AcquiredStream>;
  /** Gives an unused place back. Idempotent. */
  cancel(): void;
}

export interface OwnerInfo extends TransportStatistics {
  readonly fingerprint: string | undefined;
  readonly transport: HttpVersion;
  /** The connection's id at its driver. */
  readonly connection: number;
  readonly remoteAddress: SocketAddress;
  readonly state: Owner['state'];
  readonly streams: number;
  /** Streams that wait for the peer's leave to open; counted in `streams` too. */
  readonly waitingToOpen: number;
  readonly maxStreams: MaxStreams;
  /** Milliseconds since the last stream was released, or since the start; 0 while streams are open. */
  readonly idle: number;
  /** Milliseconds since the owner began. */
  readonly age: number;
  /** HTTP datagrams routed to sessions. */
  readonly datagramsRouted: number;
}

/** The one holder of an HTTP connection to a next hop, which opens each tunnel as a stream on it. */
export interface Owner {
  readonly fingerprint: string | undefined;
  readonly version: HttpVersion;
  readonly connection: TransportConnection;
  readonly settings: PeerSettings;
  readonly state: 'open' | 'draining' | 'stopped';
  readonly streams: number;
  /** Streams, and places that are held for some. */
  readonly load: number;
  /** It has carried a stream. */
  readonly used: boolean;
  /** Streams that it carries at once, as far as is known: stated, allowed now (HTTP/3), or seen where the peer made streams wait. */
  readonly capacity: number | undefined;
  /** Another stream would be opened without waiting, as far as is known. */
  readonly hasRoom: boolean;
  /** Holds a place for a stream. Throws `stream_limit`, `draining` or `stopped`. */
  reserve(): Reservation;
  /**
   * Opens a stream for the session: sends the request and registers the session before this returns. Rejects
   * with `stream_limit`, `draining`, `stopped`, `session_gone`, `timeout`, `aborted`, `stream_reset`,
   * `peer_closed`, or with whatever the request or the registration failed with; then nothing is left over
   * and the session is told nothing more.
   */
  acquireStream(head: RequestHead, session: Session, options?: AcquireOptions): Promise<AcquiredStream>;
  /** Gives a stream's slot back and cancels the stream. Idempotent; does nothing for an unknown id. */
  releaseStream(id: number): void;
  info(): Promise<OwnerInfo>;
  /** Takes no new streams and stops once the running ones have finished. */
  drain(): void;
  /** Closes the connection and tells every session. Resolves when it is done, or after `stopTimeout`. Idempotent. */
  stop(failure?: UpstreamFailure): Promise<void>;
  /** Resolves when it is over, with the reason. */
  readonly stopped: Promise<UpstreamFailure>;
}
