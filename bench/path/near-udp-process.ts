/*
 * UDP on the near side of the path, one line of JSON each:
 *
 * - probe HOST PORT COUNT: so many datagrams to an echo, one each 4 ms: round trips and what was lost.
 * - flood-down HOST PORT SIZE RATE SECONDS: asks a UDP source for a flood and tells the delays.
 * - flood-up HOST PORT SIZE RATE SECONDS: sends a flood.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { collectDelays, sendFlood } from './flood.js';

const [what = '', host = '', to = '', ...rest] = process.argv.slice(2);
const [first = 0, rate = 0, seconds = 0] = rest.map(Number);
const port = Number(to);
const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
socket.on('error', () => undefined);
socket.bind(0);
await once(socket, 'listening');

async function probe(count: number): Promise<void> {
  const roundTrips: number[] = [];
  socket.on('message', (message) => void roundTrips.push(performance.now() - message.readDoubleBE(0)));
  for (let sent = 0; sent < count; sent++) {
    const datagram = Buffer.alloc(64);
    datagram.writeDoubleBE(performance.now(), 0);
    socket.send(datagram, port, host);
    await wait(4);
  }
  await wait(500);
  roundTrips.sort((a, b) => a - b);
  const at = (share: number): number => roundTrips[Math.floor(share * (roundTrips.length - 1))] ?? Number.NaN;
  const spread = { min: at(0), p50: at(0.5), p99: at(0.99), max: at(1) };
  console.log(JSON.stringify({ sent: count, answered: roundTrips.length, ...spread }));
  process.exit();
}

/** Opens a tunnel, if there is one, and waits until it is: the first 16 payloads are not yet the engine's. */
async function warmUp(): Promise<void> {
  for (let sent = 0; sent < 40; sent++) {
    socket.send('0 0 0', port, host);
    await wait(20);
  }
}

switch (what) {
  case 'probe':
    await probe(first);
    break;
  case 'flood-down':
    await warmUp();
    collectDelays(socket, (delays) => {
      console.log(JSON.stringify(delays));
      process.exit();
    });
    socket.send(`${first} ${rate} ${seconds}`, port, host);
    break;
  case 'flood-up':
    await warmUp();
    sendFlood(
      (datagram) => socket.send(datagram, port, host),
      { size: first, rate, seconds },
      () => {
        console.log(JSON.stringify({ event: 'sent' }));
        setTimeout(() => process.exit(), 5_000);
      },
    );
    break;
  default:
    throw new Error('usage: probe|flood-down|flood-up HOST PORT ...');
}
