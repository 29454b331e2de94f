/* Sinks and sources for the load (docs/bench.md), and with the argument `deaf` a target that reads nothing. */
import { createServer } from 'node:net';
import { openTcpResponder } from '../../src/client/bench/tcp-responder.js';
import { systemClock } from '../../src/clock/system-clock.js';

const local = { address: '127.0.0.1', port: 0 };
let port: number;
if (process.argv[2] === 'deaf') {
  const server = createServer((socket) => void socket.on('error', () => undefined).pause());
  await new Promise<void>((resolve) => server.listen(0, local.address, resolve));
  const bound = server.address();
  port = bound !== null && typeof bound === 'object' ? bound.port : 0;
} else {
  const responder = await openTcpResponder({ local, clock: systemClock, maxConnections: 4_096 });
  port = responder.localAddress.port;
}
process.stdout.write(`${JSON.stringify({ port })}\n`);
process.stdin.once('end', () => process.exit());
process.stdin.resume();
