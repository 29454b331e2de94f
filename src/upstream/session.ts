import type { ResponseHead } from '../http/request.js';
import type { StreamOutcome, TunnelStream, TunnelStreamHandler } from '../http/tunnel-stream.js';
import type { TransportConnection } from './transport.js';
import type { UpstreamFailure } from './upstream-error.js';

type Reset = Extract<StreamOutcome, { kind: 'reset' }>;
type Lost = Extract<StreamOutcome, { kind: 'lost' }>;

/** How a session's stream ended; each is a stream outcome too. */
export type SessionEnd =
  | { readonly kind: 'ended' }
  /** `failure` is `stream_limit` where the peer refused the request unprocessed (REFUSED_STREAM). */
  | (Reset & { readonly failure?: UpstreamFailure })
  /** The connection is gone: `peer_closed` or `unresponsive`, or `stopped` where this side ended it. */
  | (Lost & { readonly failure: UpstreamFailure });

/** A stream that was acquired. */
export interface AcquiredStream {
  /** HTTP stream id; -1 while the stream waits for the peer's leave to open. */
  readonly id: number;
  readonly connection: TransportConnection;
  readonly stream: TunnelStream;
  /** Gives the slot back and cancels the stream. Idempotent. */
  release(): void;
}

/** A class because there are thousands. */
export class HeldStream implements AcquiredStream {
  constructor(
    readonly connection: TransportConnection,
    readonly stream: TunnelStream,
    readonly release: () => void,
  ) {}

  get id(): number {
    return this.stream.id;
  }
}

/**
 * Whoever holds one tunnel. Calls are synchronous and in order: `attach`, then what the stream tells, then
 * `closed` once. After a release nothing is told.
 */
export interface Session extends Omit<TunnelStreamHandler, 'closed'> {
  /** When it aborts the session is gone, and its streams are released. */
  readonly gone: AbortSignal;
  /** The stream, before any event of it. Throwing takes the acquire back. */
  attach?(acquired: AcquiredStream): void;
  informational?(head: ResponseHead): void;
  response(head: ResponseHead): void;
  closed(end: SessionEnd): void;
}
