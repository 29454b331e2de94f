/*
 * A splice to a socket whose path takes packets of 1,000 bytes, in a network namespace of its own. Tells as one line
 * of JSON what became of datagrams that are too large among others.
 */
import { createNativeEngine } from '../../src/quic/native/index.js';
import { connectPair, until } from './pair.js';

const prefix = Uint8Array.of(1, 0);
const engine = createNativeEngine();
const arrived: number[] = [];
const problems: string[] = [];
const target = await engine.udp.open(
  { local: { address: '127.0.0.9', port: 0 } },
  { packet: (_bytes, start, end) => void arrived.push(end - start), problem: () => undefined },
);
const far = await engine.udp.open(
  { remote: target.localAddress },
  { packet: () => undefined, problem: (problem) => void problems.push(problem) },
);
const { client, server } = await connectPair(engine);
const splice = server.connection.spliceDatagrams?.(1, far);
if (!splice) throw new Error('no splice');
const send = (size: number): void => {
  client.connection.sendDatagram(prefix, new Uint8Array(size), 0, size);
};
while (splice.statistics().payloadsIn === 0) {
  const before = arrived.length;
  send(1);
  await until(() => arrived.length > before || splice.statistics().payloadsIn > 0);
}
await until(() => arrived.length > 0);
arrived.length = 0;
// Runs of one size leave in one call where the kernel can; the refused ones must not take the others with them.
for (const size of [500, 500, 1_100, 1_100, 1_100, 1_100, 1_100, 600, 1_100, 700]) send(size);
await until(() => arrived.includes(700));
const { droppedInTooLarge, droppedInSocket, payloadsIn } = splice.statistics();
console.log(JSON.stringify({ arrived, problems, droppedInTooLarge, droppedInSocket, more: payloadsIn > 10 }));
await engine.close();
