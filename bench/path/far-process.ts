/*
 * The targets on the far side of the path. Arguments: the address. Tells its ports as one line of JSON.
 *
 * - TCP source: sends the byte pattern; how much, the client says in a first line.
 * - UDP echo.
 * - UDP source: who sends it `SIZE PER-SECOND SECONDS` gets so many datagrams, each with its number and the time it
 *   left (the machine's monotonic clock, which both sides have).
 * - UDP sink: counts the delays of such datagrams and tells the spread as a line of JSON when no more come.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { bytePattern } from './byte-pattern.js';
import { collectDelays, sendFlood } from './flood.js';

const address = process.argv[2] ?? '127.0.0.1';

const source = createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.once('data', (asked: Buffer) => {
    const pattern = bytePattern();
    let left = Number(asked.toString());
    const more = (): void => {
      while (left > 0) {
        const piece = pattern.next(Math.min(left, 64 * 1024));
        left -= piece.length;
        if (!socket.write(piece)) {
          socket.once('drain', more);
          return;
        }
      }
      socket.end();
    };
    more();
  });
});
source.listen(0, address);
await once(source, 'listening');
const bound = source.address();

async function udp(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
  socket.on('error', () => undefined);
  socket.bind(0, address);
  await once(socket, 'listening');
  return socket;
}

const [echo, flood, sink] = [await udp(), await udp(), await udp()];
echo.on('message', (message, from) => echo.send(message, from.port, from.address));
flood.on('message', (message, from) => {
  const [size = 0, rate = 0, seconds = 0] = message.toString().split(' ').map(Number);
  const send = (datagram: Buffer): void => flood.send(datagram, from.port, from.address);
  sendFlood(send, { size, rate, seconds });
});
collectDelays(sink, (spread) => console.log(JSON.stringify({ event: 'delays', ...spread })));
const tcp = bound !== null && typeof bound === 'object' ? bound.port : 0;
const ports = { tcp, echo: echo.address().port, flood: flood.address().port, sink: sink.address().port };
console.log(JSON.stringify(ports));
process.stdin.once('end', () => process.exit());
process.stdin.resume();
