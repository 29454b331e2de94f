import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * A port of loopback that was free a moment ago, below those that Linux gives to sockets which ask for none: another
 * program's could have it by the time that it is used.
 */
export async function freePort(network: 'tcp' | 'udp'): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const holder =
      network === 'tcp'
        ? createServer().listen(port, '127.0.0.1')
        : createSocket('udp4').bind(port, '127.0.0.1');
    const free = await once(holder, 'listening').then(
      () => true,
      () => false,
    );
    await new Promise<void>((resolve) => holder.close(() => resolve()));
    if (free) return port;
  }
}
