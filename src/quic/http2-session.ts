import type { ByteSpliceRequest } from './byte-splice.js';
import type { DatagramSplice, TakeRest } from './datagram-splice.js';
import type { TcpEnd, TcpSocket } from './tcp-socket.js';
import type { UdpSocket } from './udp-socket.js';

/** Ids of settings to their values (RFC 9113 section 6.5.2, RFC 8441 section 3). */
export interface Http2Settings {
  readonly [id: number]: number;
}

export interface Http2Options {
  readonly role: 'client' | 'server';
  /** A server's first SETTINGS, and what widens the window of the connection, were sent with its handshake. */
  readonly greeted?: boolean;
  /**
   * Sent in the first SETTINGS. INITIAL_WINDOW_SIZE (4; 65,535 without) and MAX_FRAME_SIZE (5; 16,384 without) are
   * also what is held against the peer.
   */
  readonly settings: Http2Settings;
  /**
   * Receive window of a stream once a quarter of INITIAL_WINDOW_SIZE was consumed, bytes; that by default. What comes
   * on a stream before somebody wants it takes no more memory than the first one.
   */
  readonly streamWindow?: number;
  /** Receive window of the connection, bytes; 65,535 is the least. */
  readonly connectionWindow: number;
  /** Longest encoded header block that is taken, bytes; beyond it the connection fails with ENHANCE_YOUR_CALM. */
  readonly headerBlockSize: number;
}

/**
 * The frames and the flow control of one HTTP/2 connection (RFC 9113), on a socket that is its own from then on:
 * what HEADERS, SETTINGS and GOAWAY mean is the caller's. A call for a stream that is not there, and any call once
 * the session is over, does nothing.
 */
export interface Http2Session {
  /**
   * Sends HEADERS (and CONTINUATION) with this encoded block, copied before this returns, behind what was written to
   * the stream: not always in the order of the calls, so that the encoder's dynamic table must be empty. The first
   * block of a stream that the peer has not opened opens it. With `endStream` it is the last. Throws a `RangeError`
   * above 128 KiB.
   */
  headers(stream: number, block: Uint8Array, endStream: boolean): void;
  /**
   * Queues `bytes[start, end)`; copied before this returns. False once `buffered` is at the high-water mark: stop,
   * wait for `drain`. Nothing after the end.
   */
  write(stream: number, bytes: Uint8Array, start: number, end: number): boolean;
  /** END_STREAM behind the last byte. */
  end(stream: number): void;
  /**
   * RST_STREAM: what waits of the stream is thrown away, and nothing more of it is told. Also for an id that the
   * session does not know.
   */
  reset(stream: number, code: number): void;
  /** Lets `bytes` more bytes of the stream be delivered. Starts at zero. */
  grant(stream: number, bytes: number): void;
  /** Bytes that `write` took and that have not been sent. */
  buffered(stream: number): number;
  /**
   * As `TunnelStream.spliceBytes`: lets the engine move bytes between the DATA frames of the stream and a TCP socket.
   * What comes of it is told as for `QuicStream.spliceBytes`, except that what is told again as `data` are bytes of
   * the stream and not HTTP/3 frames.
   */
  spliceBytes(stream: number, socket: TcpSocket, request: ByteSpliceRequest): boolean;
  /** As `TunnelStream.spliceCapsules`. */
  spliceCapsules(stream: number, far: UdpSocket, rest: TakeRest): DatagramSplice | undefined;
  /** Sends a further SETTINGS frame; its INITIAL_WINDOW_SIZE and MAX_FRAME_SIZE are held against the peer too. */
  settings(values: Http2Settings): void;
  /** Eight bytes. */
  ping(payload: Uint8Array): void;
  goaway(lastStream: number, code: number, debug: string): void;
  /**
   * Sends everything that waits, as far as the windows let it, and then ends the socket. Nothing more is told but the
   * outcome, which waits for the peer's end; in the engine for 10 seconds at most, as after `failed`.
   */
  close(): void;
  /** Resets the socket. */
  abort(): void;
}

/** What a session tells. Calls are synchronous and in order; views are valid only during the call. */
export interface Http2SessionHandler {
  /**
   * A whole block, in the order of the wire: also of streams that were reset or that the peer may not open, and before
   * bytes of the same stream that wait for credit.
   */
  headers(stream: number, block: Uint8Array, endStream: boolean): void;
  /** Bytes, within the credit. */
  data(stream: number, bytes: Uint8Array, start: number, end: number): void;
  /** END_STREAM, on DATA or on HEADERS, behind the last byte. */
  end(stream: number): void;
  /**
   * RST_STREAM, behind what was received within the credit; the rest is dropped. The last of a stream. Also where the
   * peer broke the rules of that stream alone, and was told so with this code.
   */
  reset(stream: number, code: number): void;
  /** `buffered` fell below the low-water mark after `write` returned false. */
  drain(stream: number): void;
  /** END_STREAM went out, and with it the last of what was written. */
  sent(stream: number): void;
  /** Each SETTINGS frame of the peer, applied and acknowledged; the first says that the session is up. */
  settings(values: Http2Settings): void;
  /** The answer to a `ping`. */
  pong(payload: Uint8Array): void;
  goaway(lastStream: number, code: number, debug: string): void;
  /** The peer broke the rules of framing or of flow control: GOAWAY with this code is sent, and the socket closed. */
  failed(code: number, reason: string): void;
  /** The socket is gone, and all streams with it. The outcome, once, last. */
  closed(end: TcpEnd): void;
}
