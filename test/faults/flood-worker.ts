import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { ANSWERED, type FloodOrder, type FloodSettings, RETRIES, SENT } from './flood.js';
import { initialPacket, readAnswer } from './initial-packet.js';

/** A PING and nothing else: a handshake that was begun and never goes on. */
const ping = Buffer.from([1]);
/** First packets that are sent before the answers to them are waited for, and how long that may take. */
const [BURST, PATIENCE] = [50, 100];

const { port, honest, counts } = workerData as FloodSettings;
const sockets: Socket[] = [];
for (let index = 0; index < 8; index++) {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  await new Promise<void>((resolve) => socket.bind(0, `127.0.0.${2 + index}`, resolve));
  socket.on('message', (message) => {
    const answer = readAnswer(message);
    if (answer.kind !== 'retry') add(ANSWERED);
    else {
      add(RETRIES);
      if (!honest) return;
      const { source: destination, destination: source, token } = answer;
      socket.send(initialPacket({ destination, source, token, frames: ping }), port, '127.0.0.1');
    }
  });
  sockets.push(socket);
}

function add(which: number): void {
  counts[which] = (counts[which] ?? 0) + 1;
}

const answers = (): number => (counts[RETRIES] ?? 0) + (counts[ANSWERED] ?? 0);

async function send(count: number): Promise<void> {
  let sent = 0;
  while (sent < count) {
    const burst = Math.min(BURST, count - sent);
    const before = answers();
    for (let index = 0; index < burst; index++) {
      const packet = initialPacket({ destination: randomBytes(8), source: randomBytes(8), frames: ping });
      sockets[(sent + index) % sockets.length]?.send(packet, port, '127.0.0.1');
      add(SENT);
    }
    sent += burst;
    // What is lost in a socket's buffer is not answered.
    const late = performance.now() + PATIENCE;
    do await delay(2);
    while (answers() - before < burst && performance.now() < late);
  }
}

parentPort?.on('message', async (order: FloodOrder) => {
  await send(order.count);
  parentPort?.postMessage('done');
});
parentPort?.postMessage('ready');
