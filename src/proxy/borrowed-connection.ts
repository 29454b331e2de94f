import type {
  ConnectionClose,
  HttpAccept,
  HttpServerConnection,
  HttpServerConnectionHandler,
} from '../http/connection.js';
import type { ServerStream, TunnelStreamHandler } from '../http/tunnel-stream.js';
import type { SocketAddress } from '../quic/address.js';

/** What is known of a connection that belongs to somebody else's server. */
export interface BorrowedIdentity {
  readonly version: 'h2' | 'h1';
  readonly id: number;
  readonly remoteAddress: SocketAddress;
  readonly localAddress: SocketAddress;
  readonly serverName: string | undefined;
}

/**
 * Another server's connection as the proxy sees it: only its tunnels are the proxy's to end. Draining lets go
 * of it with the last tunnel, closing resets the tunnels; what else runs on it is never touched.
 */
export interface BorrowedConnection {
  /** A tunnel began; the handler of its stream. */
  request(stream: ServerStream): TunnelStreamHandler;
  /** The connection itself is gone. */
  lost(close: ConnectionClose): void;
  /** False once the proxy has let go of it. */
  readonly held: boolean;
}

export function borrowConnection(
  identity: BorrowedIdentity,
  accept: HttpAccept,
  released: () => void,
): BorrowedConnection {
  const streams = new Set<ServerStream>();
  let held = true;
  let draining = false;
  let resolveClosed: (close: ConnectionClose) => void = () => undefined;
  const closed = new Promise<ConnectionClose>((resolve) => {
    resolveClosed = resolve;
  });
  const release = (close: ConnectionClose): void => {
    if (!held) return;
    held = false;
    handler.closed?.(close);
    resolveClosed(close);
    released();
  };
  const connection: HttpServerConnection = {
    ...identity,
    peerCertificates: [],
    get streams() {
      return streams.size;
    },
    statistics: () => Promise.resolve(undefined),
    drain() {
      draining = true;
      if (streams.size === 0) release({ reason: 'closed', code: undefined, detail: 'drained' });
    },
    close(reason) {
      for (const stream of [...streams]) stream.reset('cancelled');
      release({ reason: 'closed', code: undefined, detail: reason });
    },
    closed,
  };
  const handler: HttpServerConnectionHandler = accept(connection);

  return {
    request(stream) {
      streams.add(stream);
      stream.closed.then(() => {
        streams.delete(stream);
        if (draining && streams.size === 0) connection.drain();
      });
      return handler.request(stream);
    },
    lost: release,
    get held() {
      return held;
    },
  };
}
