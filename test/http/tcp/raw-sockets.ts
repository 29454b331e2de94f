import type { SocketAddress } from '../../../src/quic/address.js';
import type { EngineThread } from '../../../src/quic/engine-thread.js';
import type { TcpSocket } from '../../../src/quic/tcp-socket.js';

type Tcp = Pick<EngineThread, 'tcp'>;

/** The connections with TLS that an engine's listeners accept, so that a test can break one. */
export interface WatchedEngine extends Tcp {
  find(remote: SocketAddress): TcpSocket | undefined;
}

export function watchAccepted({ tcp }: Tcp): WatchedEngine {
  const sockets = new Map<number, TcpSocket>();
  return {
    tcp: {
      ...tcp,
      listenSecure: (options, accept) =>
        tcp.listenSecure(options, (socket) => {
          sockets.set(socket.remoteAddress.port, socket);
          return accept(socket);
        }),
    },
    find: ({ port }) => sockets.get(port),
  };
}
