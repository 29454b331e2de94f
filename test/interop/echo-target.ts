import { createSocket, type SocketType } from 'node:dgram';
import { once } from 'node:events';

export interface EchoTarget {
  readonly port: number;
  close(): void;
}

/** A UDP server that sends each packet back to where it came from; `::` serves both families. */
export async function startEchoTarget(address: '127.0.0.1' | '::1' | '::'): Promise<EchoTarget> {
  const type: SocketType = address === '127.0.0.1' ? 'udp4' : 'udp6';
  const socket = createSocket({ type, recvBufferSize: 1 << 20 });
  socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  socket.bind(0, address);
  await once(socket, 'listening');
  return { port: socket.address().port, close: () => socket.close() };
}
