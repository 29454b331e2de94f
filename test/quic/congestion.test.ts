import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type CongestionControl, congestionControls } from '../../src/quic/congestion.js';
import { QuicConfigurationError } from '../../src/quic/engine.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { type Seeded, seeded } from '../faults/seeded.js';
import { connectTo, delay, listening, streamLog, until } from './pair.js';
import { far, join, near, type Wire, wire } from './wire.js';

const limit = { timeout: 120_000 };
const BYTES = 3_000_000;

/** Each packet by itself, late and perhaps not at all. */
function impair(from: Wire, to: Wire, address: typeof near, random: Seeded): void {
  from.send = (bytes, start, end) => {
    if (random.below(50) === 0) return;
    const packet = Buffer.from(bytes.subarray(start, end));
    setTimeout(() => to.deliver(packet, 0, packet.length, address), 5);
  };
}

/** The mean congestion window of a sender whose path loses one packet of fifty, in bytes. */
async function windowOf(congestion: CongestionControl): Promise<number> {
  const engine = createNativeEngine({ congestion });
  const [clientWire, serverWire] = [wire(near, 1400), wire(far, 1400)];
  join(clientWire, serverWire);
  const { listener, next } = await listening(engine, { path: serverWire }, { credit: BYTES });
  const client = await connectTo(engine, listener, { remote: far, path: clientWire });
  const server = await next();
  const random = seeded(7);
  impair(clientWire, serverWire, near, random);
  impair(serverWire, clientWire, far, random);
  const bytes = Buffer.alloc(BYTES);
  const stream = client.connection.openUnidirectional(streamLog());
  stream.write(bytes, 0, bytes.length);
  stream.end();
  await until(() => server.streams.length === 1);
  let ended = false;
  void server.streams[0]?.log.until('end').then(() => {
    ended = true;
  });
  const windows: number[] = [];
  while (!ended) {
    await delay(20);
    windows.push((await client.connection.statistics()).congestionWindow);
  }
  // What it begins with is the same for all.
  const later = windows.slice(windows.length >> 1);
  await listener.close(0, '');
  await engine.close();
  return later.reduce((sum, window) => sum + window, 0) / later.length;
}

describe('congestion control', () => {
  const engine = createNativeEngine();
  after(() => engine.close());

  test('bbr keeps a window that losses take from cubic', limit, async (t) => {
    const cubic = await windowOf('cubic');
    const bbr = await windowOf('bbr');
    t.diagnostic(`mean window: cubic ${Math.round(cubic)} bytes, bbr ${Math.round(bbr)}`);
    assert.ok(bbr > 2 * cubic, `${bbr} and ${cubic}`);
  });

  test('a connection may say another than its engine; one that there is not is refused', limit, async () => {
    const path = wire(far, 1400);
    for (const congestion of congestionControls) {
      const { listener } = await listening(engine, { path, transport: { congestion } });
      await listener.close(0, '');
    }
    const unknown = { path, transport: { congestion: 'reno' as CongestionControl } };
    await assert.rejects(listening(engine, unknown), QuicConfigurationError);
  });
});
