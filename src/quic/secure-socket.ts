import type { SocketAddress } from './address.js';
import type { QuicConnectFailure } from './engine.js';
import type { EngineThread } from './engine-thread.js';
import type {
  TcpConnectOptions,
  TcpListenOptions,
  TcpOpenError,
  TcpSocket,
  TcpSocketHandler,
} from './tcp-socket.js';
import type { CertificateAndKey, ClientTls, ServerTls } from './tls.js';

/**
 * A TCP connection with TLS 1.3 or 1.2 on it: all bytes are payload. `end` sends close_notify, then FIN (RFC 8446
 * section 6.1); a fault of the peer's TLS is a reset with `errno` EPROTO.
 */
export interface SecureSocket extends TcpSocket {
  /** The protocol agreed on (RFC 7301); undefined where the client has offered none. */
  readonly alpn: string | undefined;
  /** The server name of the handshake, if one was sent. */
  readonly serverName: string | undefined;
  /** DER, leaf first; empty without. */
  readonly peerCertificates: readonly Uint8Array[];
  /** The listener's `greeting` was sent, in front of all that is written. */
  readonly greeted: boolean;
  /** As of a `QuicConnection`. */
  readonly thread?: EngineThread;
}

export interface SecureConnectOptions extends Omit<TcpConnectOptions, 'connectTimeout'> {
  readonly tls: ClientTls;
  /** Milliseconds for TCP and TLS together; default 10,000. */
  readonly handshakeTimeout?: number;
}

export interface SecureListenOptions extends TcpListenOptions {
  readonly tls: ServerTls;
  /** `::` takes IPv4 too. */
  readonly dualStack?: boolean;
  /** A handshake takes no longer, milliseconds; default 10,000. */
  readonly handshakeTimeout?: number;
  /** Handshakes under way at once; connections beyond are reset. Default 4,096. */
  readonly maxHandshakes?: number;
  /** The same for one address (an IPv6 /64 counts as one), so that nobody takes all of them. Default 512. */
  readonly maxHandshakesPerAddress?: number;
  /** Connections at once, those in the handshake among them; more are reset. Default 65,536. */
  readonly maxConnections?: number;
  /** For clients that choose its protocol. */
  readonly greeting?: SecureGreeting;
}

/**
 * The first payload to clients that choose this protocol (RFC 7301). It goes with the server's part of the handshake
 * (RFC 8446 section 4.4.4), so whoever begins one sees it; where that cannot be (TLS 1.2, or a client that is asked
 * for its certificate) right behind the handshake.
 */
export interface SecureGreeting {
  readonly protocol: string;
  /** At most 32 KiB; copied. */
  readonly bytes: Uint8Array;
}

export interface SecureListener {
  readonly localAddress: SocketAddress;
  /** Threads that its connections are spread over; absent for 1. */
  readonly shards?: number;
  /** For handshakes from now on; running connections stay. Throws `QuicConfigurationError`. */
  setCertificates(certificates: readonly CertificateAndKey[]): void;
  /** No new connections; running ones and handshakes under way stay. Idempotent. */
  stopAccepting(): void;
  /** `stopAccepting`, and handshakes under way are reset. Idempotent. */
  close(): void;
  /** `handshakes` are those under way now, `refused` all connections that a limit has reset. */
  statistics(): { readonly handshakes: number; readonly refused: number };
}

/** Takes a new connection once its handshake is done; its handler is attached before anything is told. */
export type SecureAccept = (socket: SecureSocket) => TcpSocketHandler;

/** Why a connection with TLS did not come up: as with QUIC, but for what only QUIC has. */
export type SecureConnectFailure = Exclude<QuicConnectFailure, { readonly kind: 'refused' | 'version' }>;

/** What an attempt at TCP that has failed means for TLS on top. */
export function secureFailure(error: TcpOpenError): SecureConnectFailure {
  const { problem, errno } = error;
  if (problem === 'aborted') return { kind: 'aborted' };
  if (problem === 'timeout') return { kind: 'timeout' };
  if (errno === 'ECANCELED') return { kind: 'engine', reason: 'the engine was closed' };
  return { kind: 'unreachable', errno };
}

export class SecureConnectError extends Error {
  override readonly name = 'SecureConnectError';
  constructor(readonly failure: SecureConnectFailure) {
    super('reason' in failure ? `${failure.kind}: ${failure.reason}` : failure.kind);
  }
}
