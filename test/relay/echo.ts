import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { UdpTunnel } from '../../src/client/udp-tunnel.js';

/** A UDP server on loopback that sends everything back. */
export interface Echo {
  readonly port: number;
  close(): Promise<void>;
}

export async function startEcho(address = '127.0.0.1'): Promise<Echo> {
  const socket = createSocket('udp4', (message, from) => socket.send(message, from.port, from.address));
  socket.bind(0, address);
  await once(socket, 'listening');
  return {
    port: socket.address().port,
    async close() {
      socket.close();
      await once(socket, 'close');
    },
  };
}

/** The next datagram of a tunnel; fails when none comes within half a minute. */
export async function nextMessage(tunnel: UdpTunnel): Promise<Buffer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('no datagram came')), 30_000);
  });
  try {
    const result = await Promise.race([tunnel[Symbol.asyncIterator]().next(), late]);
    if (result.done) throw new Error('the tunnel is over');
    return result.value;
  } finally {
    clearTimeout(timer);
  }
}
