import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { connectTo, delay, empty, listening } from './pair.js';
import { far, join, near, wire } from './wire.js';

const engine = createNativeEngine();
after(() => engine.close());

test('a path that grows later is found out within 10 s and a little', { timeout: 120_000 }, async ({
  signal,
}) => {
  const clientWire = wire(near, 1300);
  const serverWire = wire(far, 1440);
  let carried = 1300;
  let tooLarge = 0;
  join(clientWire, serverWire, () => carried);
  const { send } = clientWire;
  clientWire.send = (bytes, start, end) => {
    if (end - start > carried) tooLarge += 1;
    send(bytes, start, end);
  };
  const { listener } = await listening(engine, { path: serverWire });
  const client = await connectTo(engine, listener, {
    remote: far,
    path: clientWire,
    transport: { mtuDiscoveryUpTo: 1440 },
  });
  // Something to send, so that the search goes on.
  const chatter = async (): Promise<void> => {
    client.connection.sendDatagram(empty, Buffer.alloc(10), 0, 10);
    await delay(20);
  };
  // It gives up once nothing of what it tries comes through.
  for (let quiet = 0, before = 0; !signal.aborted && (before < 3 || quiet < 50); quiet += 1) {
    await chatter();
    if (tooLarge !== before) quiet = 0;
    before = tooLarge;
  }
  assert.ok(client.connection.maxDatagramSize < 1300, `${client.connection.maxDatagramSize}`);
  carried = 1440;
  while (!signal.aborted && client.connection.maxDatagramSize < 1390) await chatter();
  assert.ok(client.connection.maxDatagramSize >= 1390);
  await listener.close(0, '');
});
