import type { HttpVersion, ResetReason } from '../protocol/reset-reason.js';
import type { ByteSplice, StreamToJoin } from '../quic/byte-splice.js';
import type { DatagramOutcome, QuicConnection } from '../quic/connection.js';
import type { DatagramSplice, TakeRest } from '../quic/datagram-splice.js';
import type { QuicStream } from '../quic/stream.js';
import type { TcpSocket } from '../quic/tcp-socket.js';
import type { UdpSocket } from '../quic/udp-socket.js';
import type { RequestHead, ResponseHead } from './request.js';

/** Why a connection, and with it all its streams, is gone. */
export type LossReason =
  /** The peer closed it in order, or its GOAWAY left the stream unprocessed. */
  | 'peer-closed'
  /** This side closed it. */
  | 'closed'
  /** The idle time passed without a sign of life. */
  | 'timeout'
  /** TCP reset, stateless reset, TLS truncation. */
  | 'reset'
  /** The peer broke the protocol, or said that this side did. */
  | 'protocol-error'
  | 'internal-error';

/** How a stream ended: three different things in every version. */
export type StreamOutcome =
  /** Both directions ended cleanly. */
  | { readonly kind: 'ended' }
  | {
      readonly kind: 'reset';
      readonly by: 'peer' | 'local';
      readonly reason: ResetReason;
      /** The code on the wire; undefined in HTTP/1.1. */
      readonly code: number | undefined;
      readonly version: HttpVersion;
    }
  | { readonly kind: 'lost'; readonly reason: LossReason; readonly detail: string };

/** Where the HTTP datagrams of a stream with context id 0 are found, for the splice of another stream. */
export interface DatagramEnd {
  readonly connection: QuicConnection;
  /** What they begin with. */
  readonly number: number;
  /** The stream stops the splice when it can take no more of it. */
  spliced(splice: DatagramSplice): void;
}

/** The content of a stream, for the splice of another stream. */
export interface ByteEnd extends StreamToJoin {
  readonly stream: QuicStream;
  /** The engine moves the content from here on. */
  handOver(): void;
}

/**
 * What HTTP/3, HTTP/2 and HTTP/1.1 each give a tunnel, the same for both sides.
 * Nothing above it asks for the version to decide anything.
 */
export interface TunnelStream {
  readonly version: HttpVersion;
  /** Stream id on its connection (HTTP/1.1: 0); -1 while it waits for the peer's leave to open. */
  readonly id: number;
  /** Bytes that `write` took and the transport has not yet. */
  readonly buffered: number;
  /**
   * Largest HTTP datagram payload (context id included) that a QUIC DATAGRAM carries now;
   * 0 where there are none on this stream: use DATAGRAM capsules (`create-datagram-stream.ts` does).
   */
  readonly maxDatagramSize: number;
  /** True where HTTP datagrams travel as QUIC DATAGRAM frames (RFC 9297 section 2.1). */
  readonly nativeDatagrams: boolean;
  /** Lets `bytes` more bytes of content be delivered. Starts at zero: nothing comes without. */
  grant(bytes: number): void;
  /**
   * Queues content `bytes[start, end)`; copied before this returns.
   * False once `buffered` is at the high-water mark (64 KiB): stop, wait for `drain`. Nothing after `end`.
   */
  write(bytes: Uint8Array, start: number, end: number): boolean;
  /**
   * As `write` of `head[0, headEnd)` and then of `body[start, end)`, in one piece of the version's framing.
   * Absent where two writes cost the same.
   */
  writeFramed?(head: Uint8Array, headEnd: number, body: Uint8Array, start: number, end: number): boolean;
  /** Ends the sending direction after the last write. */
  end(): void;
  /** The HTTP datagram payload `head ++ body[start, end)`; only where `nativeDatagrams`. */
  sendDatagram(head: Uint8Array, body: Uint8Array, start: number, end: number): DatagramOutcome;
  /**
   * Lets the transport itself move HTTP datagrams with context id 0 (RFC 9298 section 5) to a connected socket, or
   * to another stream, and its packets or datagrams back, until either direction ends; all others are told as
   * before. Undefined where it cannot now; absent where it never can.
   */
  spliceDatagrams?(far: UdpSocket | DatagramEnd): DatagramSplice | undefined;
  /**
   * The same where HTTP datagrams travel as DATAGRAM capsules in the content (RFC 9297 section 3.5), for a socket that
   * has no use for capsules of other types: those are skipped. `rest` is asked once everything that came before has
   * been told; what is moved uses no credit. A capsule that is longer than any with a UDP payload (RFC 9298 section
   * 5), or cut off by the end of the content, is told, with all that follows.
   */
  spliceCapsules?(far: UdpSocket, rest: TakeRest): DatagramSplice | undefined;
  /** This stream as the far side of such a splice. */
  datagramEnd?(): DatagramEnd | undefined;
  /**
   * Lets the transport itself move the content of an open tunnel, on which nothing was granted yet, to a TCP socket or
   * to another stream, and its bytes back, behind what was written before; `capsule` is the type of the DATA capsules
   * around them here, if there are any. What is moved is not told and uses no credit; ends, resets, losses and all
   * content that is more than bytes are told as ever, behind what was moved before. False where it cannot; otherwise
   * nothing may be granted or written until `begun`, which is told undefined where nothing is moved after all. Absent
   * where it never can.
   */
  spliceBytes?(
    far: TcpSocket | ByteEnd,
    capsule: number | undefined,
    begun: (splice: ByteSplice | undefined) => void,
  ): boolean;
  /**
   * This stream as the far side of such a splice, with its own capsules; undefined where it cannot be now.
   */
  byteEnd?(capsule: number | undefined): ByteEnd | undefined;
  /** Aborts both directions. On a finished stream it does and sends nothing. */
  reset(reason: ResetReason): void;
  /** Resolves once, never rejects; `TunnelStreamHandler.closed` was called just before. */
  readonly closed: Promise<StreamOutcome>;
}

/** A tunnel stream that has `writeFramed`. */
export interface FramedStream extends TunnelStream {
  writeFramed(head: Uint8Array, headEnd: number, body: Uint8Array, start: number, end: number): boolean;
}

/** What a stream tells whoever holds it. Calls are synchronous and in order. */
export interface TunnelStreamHandler {
  /** Content, within the credit; the view is valid only during the call. */
  data(bytes: Uint8Array, start: number, end: number): void;
  /** The peer's direction ended cleanly, after its last byte. */
  end(): void;
  /** An HTTP datagram payload that came as a QUIC DATAGRAM; the view is valid only during the call. */
  datagram(bytes: Uint8Array, start: number, end: number): void;
  /** `buffered` fell below the low-water mark after `write` returned false. */
  drain(): void;
  /**
   * The peer wants no more bytes (STOP_SENDING alone) and its own direction goes on.
   * `no-error` after this side's end is normal and not told.
   */
  peerStopped?(reason: ResetReason): void;
  maxDatagramSize?(size: number): void;
  /** The outcome, exactly once, last. */
  closed(outcome: StreamOutcome): void;
}

/** A stream of a server: answer it. */
export interface ServerStream extends TunnelStream {
  readonly request: RequestHead;
  /** A 1xx response (not 101). */
  inform(head: ResponseHead): void;
  /**
   * The final response, once. A 2xx to `connect` or `extended` opens the tunnel (HTTP/1.1: 101 for `extended`);
   * any other status is followed by the content given to `write` and `end`.
   */
  respond(head: ResponseHead): void;
}

/** A stream of a client. */
export interface ClientStreamHandler extends TunnelStreamHandler {
  /** A stream that had to wait for the peer's leave (its `id` was -1) is open; before anything else is told. */
  opened?(id: number): void;
  /** A 1xx response other than 101. */
  informational?(head: ResponseHead): void;
  /** The final response; content and datagrams may have been sent before it came. */
  response(head: ResponseHead): void;
}
