import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { SocketAddress } from '../../src/quic/address.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { connectTo, empty, listening, until } from './pair.js';
import { far, join, near, wire } from './wire.js';

const engine = createNativeEngine();
after(() => engine.close());
const limit = { timeout: 120_000 };
const secret = new Uint8Array(32).fill(7);

/** A client whose server is replaced, without a word, by one with this secret at this address; how it ends. */
async function replaced(by: Uint8Array | undefined, address: SocketAddress): Promise<string> {
  const clientWire = wire(near, 1400);
  const before = wire(far, 1400);
  join(clientWire, before);
  const first = await listening(engine, { path: before, secret });
  const client = await connectTo(engine, first.listener, {
    remote: far,
    path: clientWire,
    transport: { idleTimeout: 1_500 },
  });
  await first.next();
  const after = wire(address, 1400);
  const second = await listening(engine, { path: after, ...(by && { secret: by }) });
  before.send = () => undefined;
  let answers = 0;
  clientWire.send = (bytes, start, end) => after.deliver(bytes, start, end, near);
  after.send = (bytes, start, end) => {
    answers += 1;
    clientWire.deliver(bytes, start, end, far);
  };
  let over = false;
  void client.closed.then(() => {
    over = true;
  });
  await until(() => {
    client.connection.sendDatagram(empty, Buffer.alloc(300), 0, 300);
    return over || answers > 3;
  });
  const { kind } = await client.closed;
  await Promise.all([first.listener.close(0, ''), second.listener.close(0, '')]);
  return kind;
}

describe('the secret of a listener', () => {
  test('with the same one a listener resets the connections of the one before', limit, async () => {
    assert.equal(await replaced(secret, far), 'stateless-reset');
  });

  test('with another one, or at another address, it cannot', limit, async () => {
    const other = { address: far.address, port: far.port + 1 };
    const ends = [
      replaced(new Uint8Array(32).fill(8), far),
      replaced(undefined, far),
      replaced(secret, other),
    ];
    assert.deepEqual(await Promise.all(ends), ['idle', 'idle', 'idle']);
  });

  test('one that is too short is refused', limit, async () => {
    await assert.rejects(listening(engine, { secret: new Uint8Array(31) }), /32 bytes/);
  });
});
