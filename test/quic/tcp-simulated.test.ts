import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVirtualClock } from '../../src/clock/virtual-clock.js';
import { createSimulatedNetwork } from '../../src/quic/simulated/network.js';
import { tcpClosing, tcpConformance } from './tcp-conformance.js';
import { settled, simulatedWorld, TcpPeer, type TcpWorld, tcpPair, until } from './tcp-world.js';

tcpConformance('the simulated network', simulatedWorld);
tcpClosing('the simulated network', simulatedWorld);

const server = '192.0.2.2';
const limit = { timeout: 120_000 };

/** A connection between two hosts of a network whose links can be cut. */
async function connected(conditions: { bandwidth?: number; loss?: number } = {}) {
  const clock = createVirtualClock();
  const network = createSimulatedNetwork({ clock, ...conditions });
  const [near, far] = [network.engine('192.0.2.1'), network.engine(server)];
  const world: TcpWorld = {
    client: near.tcp,
    server: far.tcp,
    address: server,
    settle: () => clock.advanceAsync(5),
    close: async () => undefined,
  };
  const pair = await tcpPair(world);
  return { clock, network, near, far, world, ...pair };
}

test(
  'simulated TCP: a host that is cut off is found out by probes, and by attempts in time',
  limit,
  async () => {
    const { clock, network, near, client, server: peer, listener } = await connected();
    network.cut(server);
    client.send('into the void');
    await clock.advanceAsync(119_000);
    assert.deepEqual(client.events, []);
    await clock.advanceAsync(120_000);
    assert.deepEqual(client.over, { kind: 'reset', by: 'peer', errno: 'ETIMEDOUT' });
    assert.deepEqual(peer.over, { kind: 'reset', by: 'peer', errno: 'ETIMEDOUT' });
    const attempt = near.tcp.connect(
      { remote: listener.localAddress, connectTimeout: 1000 },
      new TcpPeer(),
      new AbortController().signal,
    );
    const rejected = assert.rejects(attempt, { problem: 'timeout', errno: 'ETIMEDOUT' });
    await clock.advanceAsync(1001);
    await rejected;
    assert.equal(clock.pending, 0);
  },
);

test('simulated TCP: a short cut only delays', limit, async () => {
  const { clock, network, client, server: peer } = await connected();
  network.cut(server);
  client.send('late');
  await clock.advanceAsync(30_000);
  assert.equal(peer.received, 0);
  network.restore(server);
  await clock.advanceAsync(100);
  assert.equal(peer.text(), 'late');
});

test('simulated TCP: a host that has crashed answers with RST', limit, async () => {
  const { clock, network, client, server: peer } = await connected();
  network.crash(server);
  await clock.advanceAsync(1000);
  assert.deepEqual(client.events, []);
  client.send('anybody there?');
  await clock.advanceAsync(100);
  assert.deepEqual(client.over, { kind: 'reset', by: 'peer', errno: 'ECONNRESET' });
  assert.deepEqual(peer.events, []);
});

test('simulated TCP: nobody at the address, and loss that only delays', limit, async () => {
  const { clock, near, world, client, server: peer } = await connected({ loss: 0.2, bandwidth: 1_000_000 });
  const nobody = { remote: { address: '192.0.2.99', port: 80 } };
  await assert.rejects(
    settled(world, near.tcp.connect(nobody, new TcpPeer(), new AbortController().signal)),
    { problem: 'host-unreachable', errno: 'EHOSTUNREACH' },
  );
  const bytes = Buffer.alloc(60_000, 5);
  const started = clock.now();
  client.socket.write(bytes, 0, bytes.length);
  client.socket.end();
  await until(world, () => peer.events.includes('end'));
  assert.deepEqual(Buffer.concat(peer.chunks), bytes);
  assert.ok(clock.now() - started > 40, 'a megabyte a second');
});

test('simulated TCP: closing the engines leaves no timer', limit, async () => {
  const { clock, near, far } = await connected();
  await Promise.all([near.close(), far.close()]);
  await clock.advanceAsync(100);
  assert.equal(clock.pending, 0);
});
