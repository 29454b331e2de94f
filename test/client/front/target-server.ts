import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { after } from 'node:test';

/** A TCP server on loopback, closed with the test file. */
export async function startTarget(
  serve: (socket: Socket) => void,
  host = '127.0.0.1',
): Promise<{ readonly port: number; readonly sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    serve(socket);
  });
  server.listen(0, host);
  await once(server, 'listening');
  after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  return { port: typeof address === 'object' && address ? address.port : 0, sockets };
}

/** Sends back what comes, and ends when the other side has. */
export const echo = (socket: Socket): void => void socket.pipe(socket);
