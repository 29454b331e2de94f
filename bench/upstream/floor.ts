import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { measureOpenings, quantile } from './measure-openings.js';
import type { OpenTunnel } from './openers.js';
import { startPath } from './path.js';

const HOST = '127.0.0.1';
const packet = Buffer.alloc(1_200);

/** A datagram of 1,200 bytes there and back, on a socket of its own. */
const datagramOver =
  (port: number): OpenTunnel =>
  async () => {
    const socket = createSocket('udp4');
    socket.send(packet, port, HOST);
    await once(socket, 'message', { signal: AbortSignal.timeout(5_000) });
    return async () => void socket.close();
  };

/** A TCP connection, and bytes there and back: two round trips. */
const connectionOver =
  (port: number): OpenTunnel =>
  async () => {
    const socket = connect({ host: HOST, port, noDelay: true });
    socket.write(packet);
    await once(socket, 'data', { signal: AbortSignal.timeout(5_000) });
    return async () => void socket.destroy();
  };

/** What the path alone takes, `delay` milliseconds one way, beside an echo in this process; printed. */
export async function measureFloor(delay: number): Promise<void> {
  const echo = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  echo.on('message', (bytes, from) => echo.send(bytes, from.port, from.address));
  echo.bind(0, HOST);
  await once(echo, 'listening');
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen({ port: 0, host: HOST, backlog: 4_096 });
  await once(server, 'listening');
  const path = await startPath(delay, [echo.address().port, (server.address() as AddressInfo).port]);
  const [udp, tcp] = [path.ways[0]?.udp ?? 0, path.ways[1]?.tcp ?? 0];
  for (const concurrent of [1, 100, 1_000]) {
    const count = Math.max(20, 2 * concurrent);
    for (const [name, open] of [
      ['UDP, one round trip', datagramOver(udp)],
      ['TCP, two round trips', connectionOver(tcp)],
    ] as const) {
      const { times, seconds, errors } = await measureOpenings(open, count, concurrent);
      const [p50, p99] = [quantile(times, 0.5).toFixed(1), quantile(times, 0.99).toFixed(1)];
      const rate = Math.round(times.length / seconds);
      console.log(
        `path alone, ${name}, ${concurrent} at once: p50 ${p50} ms, p99 ${p99} ms, ${rate}/s, ${errors.length} errors`,
      );
    }
  }
  path.close();
  echo.close();
  server.close();
}
