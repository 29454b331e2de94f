import type { Clock } from '../../clock/clock.js';
import type { SocketAddress } from '../../quic/address.js';
import { QuicConfigurationError } from '../../quic/engine.js';
import type { EngineThread } from '../../quic/engine-thread.js';
import type { SecureGreeting, SecureListener, SecureSocket } from '../../quic/secure-socket.js';
import { TcpOpenError, type TcpSocketHandler } from '../../quic/tcp-socket.js';
import type { CertificateAndKey, ServerTls } from '../../quic/tls.js';
import { createSharedRoom } from '../../quic/write-gauge.js';
import { Line } from '../../tables/line.js';
import type { HttpAccept, HttpServerConnection } from '../connection.js';
import { createH1Server } from '../h1/server-connection.js';
import { type H2Limits, serverLimits } from '../h2/limits.js';
import { type H2ServerIdentity, h2Greeting, startH2Server } from '../h2/server.js';

/** Sizes in bytes, times in milliseconds. */
export interface TcpListenOptions {
  readonly engine: Pick<EngineThread, 'tcp'>;
  /** `::` with `dualStack` takes IPv4 too. */
  readonly local: SocketAddress;
  readonly dualStack?: boolean;
  readonly tls: ServerTls;
  readonly clock: Clock;
  /** Gives each connection the id by which the process knows it. */
  readonly nextConnectionId: () => number;
  /** Value of Alt-Svc on every final response (RFC 7838 section 3). */
  readonly altSvc?: string;
  /** A TLS handshake takes no longer; default 10,000. */
  readonly handshakeTimeout?: number;
  /** From the handshake to the first request head, and in HTTP/1.1 from one to the next; default 20,000. */
  readonly requestHeadTimeout?: number;
  /** Handshakes under way at once; connections beyond are reset. Default 4,096. */
  readonly maxHandshakes?: number;
  /** The same for one address (an IPv6 /64 counts as one), so that nobody takes all of them. Default 512. */
  readonly maxHandshakesPerAddress?: number;
  /** Connections at once; more are reset. Default 65,536. */
  readonly maxConnections?: number;
  /** Limits of HTTP/2; `fieldSectionSize` is HTTP/1.1's limit of a request head too. */
  readonly h2?: Partial<H2Limits>;
  /**
   * Upgrade tokens (lower case) whose requests are shown as `extended`; any other is an ordinary request.
   * Default: those that start with `connect-`.
   */
  readonly isTunnelToken?: (token: string) => boolean;
}

export interface TcpListener {
  readonly localAddress: SocketAddress;
  /** For handshakes from now on; running connections stay. Throws `QuicConfigurationError`. */
  setCertificates(certificates: readonly CertificateAndKey[]): void;
  /** No new connections; running ones stay. */
  stopAccepting(): void;
  /** Closes the connections at once, and the socket. */
  close(): Promise<void>;
}

/** A connection with what its socket is to tell. */
interface Served {
  readonly connection: HttpServerConnection;
  readonly socketHandler: TcpSocketHandler;
}

/** HTTP/2 and HTTP/1.1 over TLS on one TCP port. Rejects with `QuicConfigurationError`. */
export async function listenTcp(options: TcpListenOptions, accept: HttpAccept): Promise<TcpListener> {
  const connections = new Line<HttpServerConnection>();
  const limits: H2Limits = { ...serverLimits, ...options.h2 };
  const serve = createServe(options, limits, accept);
  const listener = await listenSecure(options, h2Greeting(limits), (socket) => {
    const { connection, socketHandler } = serve(socket);
    const place = connections.join(connection);
    connection.closed.then(() => connections.leave(place));
    return socketHandler;
  });
  return {
    localAddress: listener.localAddress,
    setCertificates: (certificates) => listener.setCertificates(certificates),
    stopAccepting: () => listener.stopAccepting(),
    async close() {
      listener.close();
      for (const connection of connections) connection.close('shutdown');
      await Promise.all([...connections].map((connection) => connection.closed));
    },
  };
}

/** What is served by which version, as the handshake chose. */
function createServe(
  options: TcpListenOptions,
  limits: H2Limits,
  accept: HttpAccept,
): (socket: SecureSocket) => Served {
  const common = {
    clock: options.clock,
    requestHeadTimeout: options.requestHeadTimeout ?? 20_000,
    altSvc: options.altSvc,
  };
  const h2 = { ...common, limits, room: createSharedRoom() };
  const h1 = createH1Server({
    ...common,
    headSize: limits.fieldSectionSize,
    isTunnelToken: options.isTunnelToken ?? ((token) => token.startsWith('connect-')),
  });
  return (socket) => {
    const identity: H2ServerIdentity = {
      id: options.nextConnectionId(),
      remoteAddress: socket.remoteAddress,
      localAddress: socket.localAddress,
      serverName: socket.serverName,
      peerCertificates: socket.peerCertificates,
      thread: socket.thread,
    };
    return socket.alpn === 'h2'
      ? startH2Server(socket, identity, h2, accept)
      : h1.serve(socket, identity, accept);
  };
}

async function listenSecure(
  options: TcpListenOptions,
  greeting: SecureGreeting,
  accept: (socket: SecureSocket) => TcpSocketHandler,
): Promise<SecureListener> {
  const { local, dualStack, tls, handshakeTimeout, maxHandshakes, maxHandshakesPerAddress, maxConnections } =
    options;
  try {
    return await options.engine.tcp.listenSecure(
      {
        local,
        tls,
        greeting,
        ...(dualStack === undefined ? {} : { dualStack }),
        ...(handshakeTimeout === undefined ? {} : { handshakeTimeout }),
        ...(maxHandshakes === undefined ? {} : { maxHandshakes }),
        ...(maxHandshakesPerAddress === undefined ? {} : { maxHandshakesPerAddress }),
        ...(maxConnections === undefined ? {} : { maxConnections }),
      },
      accept,
    );
  } catch (error) {
    if (!(error instanceof TcpOpenError)) throw error;
    throw new QuicConfigurationError(error.message, error.errno);
  }
}
