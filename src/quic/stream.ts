import type { ByteSplice, ByteSpliceRequest, StreamToJoin } from './byte-splice.js';
import type { TcpSocket } from './tcp-socket.js';

/**
 * One QUIC stream. A stream that this side opened exists before the peer has allowed it:
 * writes wait, and `opened` tells its id (RFC 9000 section 4.6).
 */
export interface QuicStream {
  /** The stream id, or -1 while a stream that this side opens waits for the peer's MAX_STREAMS. */
  readonly id: number;
  readonly bidirectional: boolean;
  /** True when this side opened it. */
  readonly local: boolean;
  /** Bytes that may be delivered before anything is granted: of a listener's stream what that was told, otherwise 0. */
  readonly firstCredit: number;
  /** Bytes accepted by `write` that the engine has not yet given to QUIC. */
  readonly buffered: number;
  /**
   * Queues `bytes[start, end)` in order; the bytes are copied before this returns.
   * Returns false once `buffered` is at the high-water mark: stop, and wait for `drain`.
   * After `end`, `reset` or the connection's close it does nothing.
   */
  write(bytes: Uint8Array, start: number, end: number): boolean;
  /** Ends the sending side after the last write (FIN). */
  end(): void;
  /** Abandons the sending side: RESET_STREAM with an application code. Idempotent. */
  reset(code: number): void;
  /** Asks the peer to stop sending: STOP_SENDING with an application code; received bytes are dropped. */
  stop(code: number): void;
  /** Adds to what may be delivered. Nothing is read without, and a stream starts with its `firstCredit`. */
  grant(bytes: number): void;
  /**
   * Lets the engine move bytes between the HTTP/3 DATA frames of this stream and a TCP socket, behind what was written
   * to either. Credit that is left on the socket is taken back, and credit given to either from then on is not used by
   * what the engine moves, of which no byte is told; the ends of
   * both directions, resets and losses are told as ever, an end behind what was moved before it. A frame or capsule
   * that is more than bytes to be moved or ignored is told as `data`, in a form that a parser between two frames
   * understands, and from there on this direction is told again. What is written here goes behind what was
   * moved. False where it cannot be; otherwise neither may be granted or written anything until `begun`. Nothing is
   * moved where the engine has more of either under way to be told than was told when this was called.
   */
  spliceBytes?(socket: TcpSocket, request: ByteSpliceRequest): boolean;
  /**
   * The same with a stream of another connection, which goes by the same rules. `begun` is told once, before anything
   * else of the two; undefined where the engine moves nothing.
   */
  joinBytes?(
    near: StreamToJoin,
    far: { readonly stream: QuicStream } & StreamToJoin,
    begun: (splice: ByteSplice | undefined) => void,
  ): boolean;
  /** Higher goes first among the connection's streams; 0 at the start. */
  setPriority(priority: number): void;
}

/** What a stream tells. Calls come synchronously out of one drain of the engine, in order. */
export interface QuicStreamHandler {
  /** A local stream got its id. */
  opened?(id: number): void;
  /** Bytes, within the credit; the view is valid only during the call. */
  data(bytes: Uint8Array, start: number, end: number): void;
  /** The peer ended its side cleanly; all bytes were delivered before. */
  end(): void;
  /** The peer sent RESET_STREAM; no more bytes come. */
  reset(code: number): void;
  /** The peer sent STOP_SENDING: nothing more can be sent. */
  stopped(code: number): void;
  /** `buffered` fell below the low-water mark after `write` returned false. */
  drain(): void;
  /** The connection is gone; the last call for a stream that had not finished. */
  lost(): void;
}
