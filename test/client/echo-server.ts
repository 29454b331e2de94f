import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** A UDP server on 127.0.0.1 that sends everything back. */
export interface EchoServer extends AsyncDisposable {
  readonly port: number;
  /** `127.0.0.1:PORT`. */
  readonly target: string;
  /** Datagrams that came. */
  readonly received: number;
}

export async function startEcho(): Promise<EchoServer> {
  let received = 0;
  const socket = createSocket('udp4', (message, from) => {
    received += 1;
    socket.send(message, from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  return {
    port,
    target: `127.0.0.1:${port}`,
    get received() {
      return received;
    },
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, 'close');
    },
  };
}
