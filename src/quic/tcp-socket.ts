import type { SocketAddress } from './address.js';
import type { ByteSpliceRequest } from './byte-splice.js';
import type { DatagramSplice, TakeRest } from './datagram-splice.js';
import type { Http2Options, Http2Session, Http2SessionHandler } from './http2-session.js';
import type {
  SecureAccept,
  SecureConnectOptions,
  SecureListener,
  SecureListenOptions,
  SecureSocket,
} from './secure-socket.js';
import type { UdpSocket } from './udp-socket.js';

/** Why a TCP connection could not be made, or a port not be listened on. */
export type TcpProblem =
  | 'refused' // ECONNREFUSED
  | 'timeout' // ETIMEDOUT, or no answer within `connectTimeout`
  | 'reset' // ECONNRESET, EPIPE
  | 'host-unreachable'
  | 'network-unreachable'
  | 'no-ports' // EADDRINUSE, EADDRNOTAVAIL
  | 'no-descriptors' // EMFILE, ENFILE
  | 'no-memory'
  | 'denied' // EACCES, EPERM
  | 'aborted'
  | 'other';

export interface TcpConnectOptions {
  readonly remote: SocketAddress;
  /** Where to bind; any address and port 0 by default. */
  readonly local?: SocketAddress;
  /** Milliseconds until the handshake must be done; default 10,000. */
  readonly connectTimeout?: number;
  /** Milliseconds of silence after which the kernel probes the peer; default 60,000; 0 turns it off. */
  readonly keepAlive?: number;
}

/** How a TCP connection ended: cleanly both ways, or cut off. */
export type TcpEnd =
  | { readonly kind: 'ended' }
  /**
   * `peer`: by a reset (RST) of the peer (`errno` ECONNRESET), by a fault in its TLS (EPROTO), or by the machine
   * (ETIMEDOUT, EHOSTUNREACH, ...).
   * `local`: by `reset()` (ECONNABORTED), or with the engine (ECANCELED).
   */
  | { readonly kind: 'reset'; readonly by: 'peer' | 'local'; readonly errno: string };

export interface TcpSocketStatistics {
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** `buffered` at which `write` returns false, and at which `drain` follows; bytes. */
export const tcpWaterMarks = { high: 64 * 1024, low: 32 * 1024 } as const;

/** A TCP connection in the engine, no-delay set. Half close in both directions. */
export interface TcpSocket {
  readonly localAddress: SocketAddress;
  readonly remoteAddress: SocketAddress;
  /** Bytes that `write` took and the kernel has not yet. */
  readonly buffered: number;
  /** Lets `bytes` more bytes be delivered. Starts at zero: nothing is read without. */
  grant(bytes: number): void;
  /**
   * Queues `bytes[start, end)`; copied before this returns.
   * False once `buffered` is at the high-water mark: stop, wait for `drain`. Nothing after `end`.
   */
  write(bytes: Uint8Array, start: number, end: number): boolean;
  /** FIN after the last write. */
  end(): void;
  /** RST both ways: what waits is thrown away. On a finished connection it does nothing. */
  reset(): void;
  /**
   * FIN without close_notify: the peer sees that the bytes were cut off in their middle, and no reset. What waits to
   * be sent may be lost. Absent where an end has no other form.
   */
  hangUp?(): void;
  /**
   * Makes the socket, which has not been granted or written anything, that of an HTTP/2 session: nothing more of it
   * is told to its own handler, and its methods are no longer used. Absent where the engine has no such sessions.
   */
  http2?(options: Http2Options, handler: Http2SessionHandler): Http2Session;
  /**
   * Lets the engine move bytes between this socket and `far`, as `QuicStream.spliceBytes` does for a stream: capsules,
   * where there are any, are on this socket. Credit that is left on either is taken back. False where it cannot be;
   * otherwise neither may be granted or written anything until `begun`.
   */
  spliceTo?(far: TcpSocket, request: ByteSpliceRequest): boolean;
  /** As `TunnelStream.spliceCapsules`. What it moves uses no credit. */
  spliceCapsules?(far: UdpSocket, rest: TakeRest): DatagramSplice | undefined;
  statistics(): TcpSocketStatistics;
}

/** What a connection tells. Calls are synchronous and in order. */
export interface TcpSocketHandler {
  /** Bytes, within the credit; the view is valid only during the call. */
  data(bytes: Uint8Array, start: number, end: number): void;
  /**
   * The peer's end, after its last byte: FIN, or close_notify of TLS. `truncated`: TLS has ended by FIN without
   * close_notify, so that anybody may have cut it off; what that means is the reader's to say.
   */
  end(truncated?: boolean): void;
  /** `buffered` fell below the low-water mark after `write` returned false. */
  drain(): void;
  /**
   * The outcome, exactly once, last. A reset is told at once, also while nothing is granted and although bytes
   * wait unread: they are lost with it, but for a last piece within the credit.
   */
  closed(end: TcpEnd): void;
}

export interface TcpListenOptions {
  readonly local: SocketAddress;
  /** Connections that the kernel holds until they are accepted; default 511. */
  readonly backlog?: number;
  /** As for `connect`. */
  readonly keepAlive?: number;
}

export interface TcpListener {
  readonly localAddress: SocketAddress;
  /** No new connections; running ones stay. Idempotent. */
  close(): void;
}

/** Takes a new connection; its handler is attached before anything is told. */
export type TcpAccept = (socket: TcpSocket) => TcpSocketHandler;

/** TCP of the engine. */
export interface TcpSockets {
  /**
   * Rejects with `TcpOpenError`; aborting leaves nothing behind. The handler is told nothing before whoever
   * waits for the promise has it.
   */
  connect(options: TcpConnectOptions, handler: TcpSocketHandler, signal: AbortSignal): Promise<TcpSocket>;
  /** Rejects with `TcpOpenError`. Out of descriptors, new connections wait in the kernel. */
  listen(options: TcpListenOptions, accept: TcpAccept): Promise<TcpListener>;
  /**
   * A connection with TLS to a server whose certificate has passed the check. Rejects with `SecureConnectError`, or
   * with `QuicConfigurationError` for options that cannot be used; otherwise as `connect`. Sessions are not resumed.
   */
  connectSecure(
    options: SecureConnectOptions,
    handler: TcpSocketHandler,
    signal: AbortSignal,
  ): Promise<SecureSocket>;
  /**
   * TLS on a port; connections are told once the handshake is done. Rejects with `TcpOpenError`, or with
   * `QuicConfigurationError` for options that cannot be used.
   */
  listenSecure(options: SecureListenOptions, accept: SecureAccept): Promise<SecureListener>;
}

export class TcpOpenError extends Error {
  override readonly name = 'TcpOpenError';
  constructor(
    readonly problem: TcpProblem,
    readonly errno: string,
  ) {
    super(`cannot open a TCP connection: ${errno}`);
  }
}
