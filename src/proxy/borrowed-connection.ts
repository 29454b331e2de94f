import type { ConnectionClose, HttpAccept, HttpServerConnectionHandler } from '../http/connection.js';
import { ServerFace } from '../http/tcp/server-face.js';
import type { ServerStream, TunnelStreamHandler } from '../http/tunnel-stream.js';
import type { SocketAddress } from '../quic/address.js';
import { Line } from '../tables/line.js';

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
  const streams = new Line<ServerStream>();
  let draining = false;
  let resolveClosed: (close: ConnectionClose) => void = () => undefined;
  const closed = new Promise<ConnectionClose>((resolve) => {
    resolveClosed = resolve;
  });
  const release = (close: ConnectionClose): void => {
    if (!borrowed.held) return;
    borrowed.held = false;
    handler.closed?.(close);
    resolveClosed(close);
    released();
  };
  const drain = (): void => {
    draining = true;
    if (streams.size === 0) release({ reason: 'closed', code: undefined, detail: 'drained' });
  };
  const borrowed: BorrowedConnection & { held: boolean } = {
    held: true,
    request(stream) {
      const place = streams.join(stream);
      stream.closed.then(() => {
        streams.leave(place);
        if (draining && streams.size === 0) drain();
      });
      return handler.request(stream);
    },
    lost: release,
  };
  const known = { ...identity, peerCertificates: [] };
  const connection = new ServerFace(identity.version, known, streams, closed, drain, (reason) => {
    for (const stream of streams) stream.reset('cancelled');
    release({ reason: 'closed', code: undefined, detail: reason });
  });
  const handler: HttpServerConnectionHandler = accept(connection);
  return borrowed;
}
