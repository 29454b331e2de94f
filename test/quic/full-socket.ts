/*
 * A UDP socket whose packets leave slower than they come, in a network namespace whose loopback has a rate: the
 * kernel's buffer is full most of the time. Tells as one line of JSON what arrived.
 */
import { createNativeEngine } from '../../src/quic/native/index.js';
import { until } from './pair.js';

const PACKETS = 300;

const engine = createNativeEngine();
let packets = 0;
const target = await engine.udp.open(
  { local: { address: '127.0.0.1', port: 0 }, bufferSize: 1 << 20 },
  { packet: () => void packets++, problem: () => undefined },
);
// Room for a few packets only.
const near = await engine.udp.open(
  { remote: target.localAddress, bufferSize: 8_192 },
  { packet: () => undefined, problem: () => undefined },
);
const told = Array.from({ length: PACKETS }, () => near.send(new Uint8Array(1_200), 0, 1_200));
await until(() => packets === PACKETS);
console.log(JSON.stringify({ refused: told.filter((one) => one === 'dropped').length, packets }));
await engine.close();
