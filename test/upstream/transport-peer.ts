import type { RequestHead } from '../../src/http/request.js';
import type { ResetReason } from '../../src/protocol/reset-reason.js';

/** The peer's end of a stream, whatever the transport. */
export interface PeerStream {
  readonly request: RequestHead;
  /** What came, of content and of datagrams. */
  readonly bytes: Buffer;
  readonly datagrams: readonly Uint8Array[];
  readonly ended: boolean;
  readonly over: boolean;
  /** Takes no more content while true. */
  stalled: boolean;
  inform(status: number): void;
  respond(status?: number): void;
  write(text: string): void;
  end(): void;
  datagram(text: string): void;
  reset(reason: ResetReason): void;
  /** Takes content again. */
  resume(): void;
}

/** The peer's end of a connection. */
export interface TransportPeer {
  /** In the order of their requests. */
  readonly streams: readonly PeerStream[];
  /** GOAWAY without an error. */
  drain(): void;
  /** Ends the connection in order. */
  close(): void;
}

/** The index-th stream; fails where there is none. */
export function peerStream(peer: TransportPeer, index: number): PeerStream {
  const stream = peer.streams[index];
  if (!stream) throw new Error(`no stream ${index} at the peer`);
  return stream;
}
