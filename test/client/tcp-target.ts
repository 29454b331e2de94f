import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

export interface TcpTarget extends AsyncDisposable {
  readonly port: number;
  /** `127.0.0.1:PORT` */
  readonly target: string;
  readonly server: Server;
  /** Every connection that was accepted, in order. */
  readonly sockets: readonly Socket[];
}

/** A TCP server on 127.0.0.1 whose connections may be half open. */
export async function startTcpTarget(
  accept: (socket: Socket) => void,
  host = '127.0.0.1',
  listenOn = 0,
): Promise<TcpTarget> {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    accept(socket);
  });
  server.listen(listenOn, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    target: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
    server,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Writes for as long as it is let. */
export function flood(socket: Socket): void {
  const piece = Buffer.alloc(64 * 1024);
  const more = (): void => {
    while (!socket.destroyed && socket.write(piece)) {
      // Until it is full.
    }
  };
  socket.on('drain', more);
  more();
}

/** Gives every byte back, and the end. */
export function startTcpEcho(host?: string): Promise<TcpTarget> {
  return startTcpTarget((socket) => socket.pipe(socket), host);
}
