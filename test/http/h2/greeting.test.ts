import assert from 'node:assert/strict';
import test from 'node:test';
import { systemClock } from '../../../src/clock/system-clock.js';
import { dialH2 } from '../../../src/http/h2/dial.js';
import { gate } from '../../quic/gate.js';
import { clientTls, echo, engine, extendedHead, recorder, send, serve } from '../tcp/peers.js';
import { frameClient, frameType } from './frame-peer.js';

const limit = { timeout: 120_000 };

test(
  'SETTINGS come with the handshake: a client has them one round trip after its first TLS message',
  limit,
  async (t) => {
    const served = await serve(t, echo);
    const way = await gate(t, served.listener.localAddress.port);
    const connection = await dialH2(
      engine,
      { remote: { address: '127.0.0.1', port: way.port }, tls: clientTls, clock: systemClock },
      {},
      AbortSignal.timeout(60_000),
    );
    assert.equal(connection.settings.extendedConnect, true);
    const seen = recorder();
    const stream = connection.open(extendedHead, seen);
    send(stream, 'hello');
    assert.equal(served.streams.length, 0);
    way.open();
    stream.grant(1_000);
    assert.equal((await seen.responded).status, 200);
    stream.end();
    assert.deepEqual(await stream.closed, { kind: 'ended' });
    assert.equal(seen.bytes().toString(), 'hello');
    await connection.close();
  },
);

test('it is said once', limit, async (t) => {
  const ofEngine = await serve(t, echo);
  const peer = await frameClient(t, ofEngine.listener.localAddress);
  peer.send(frameType.ping, 0, 0, Buffer.alloc(8));
  await peer.waitFor(({ type, flags }) => type === frameType.ping && flags === 1);
  const told = peer.frames.map(({ type, flags }) => [type, flags]);
  const { settings, windowUpdate, ping } = frameType;
  const wanted = [
    [settings, 0],
    [windowUpdate, 0],
    [settings, 1],
    [ping, 1],
  ];
  assert.deepEqual(told, wanted);
});
