import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { TcpSocket } from '../../src/quic/tcp-socket.js';
import { http2SessionConformance } from './http2-conformance.js';
import { type Http2Attach, Http2Peer, http2Pair } from './http2-world.js';
import { delay, never } from './pair.js';
import { overTls } from './secure-world.js';
import { nativeWorld, TcpPeer, tcpPair, until } from './tcp-world.js';

const attach: Http2Attach = (socket, options, handler) => {
  assert.ok(socket.http2);
  return { session: socket.http2(options, handler) };
};

http2SessionConformance('the native engine', () => nativeWorld(), attach);
http2SessionConformance('the native engine over TLS', () => overTls(nativeWorld()), attach);

const world = nativeWorld();
after(() => world.close());

test('a peer that is gone before the session begins', { timeout: 60_000 }, async () => {
  const local = { address: '127.0.0.1', port: 0 };
  for (const how of ['end', 'reset'] as const) {
    const accepted: TcpSocket[] = [];
    const plain = new TcpPeer();
    const listener = await world.server.listen({ local }, (socket) => {
      accepted.push(socket);
      return plain.attach(socket);
    });
    const raw = new TcpPeer();
    raw.attach(await world.client.connect({ remote: listener.localAddress }, raw, never));
    await until(world, () => accepted.length === 1);
    raw.socket[how]();
    const [socket] = accepted;
    assert.ok(socket);
    if (how === 'end') await until(world, () => plain.events.includes('end'));
    const peer = new Http2Peer();
    peer.session = attach(
      socket,
      { role: 'server', settings: {}, connectionWindow: 65_535, headerBlockSize: 1000 },
      peer,
    ).session;
    await until(world, () => peer.over !== undefined);
    assert.equal(peer.over?.kind, how === 'end' ? 'ended' : 'reset');
    listener.close();
  }
});

test('a socket of which something was read is of no use', { timeout: 60_000 }, async () => {
  const { client, server } = await tcpPair(world);
  client.send('hello');
  await until(world, () => server.received === 5);
  const peer = new Http2Peer();
  attach(
    server.socket,
    { role: 'server', settings: {}, connectionWindow: 65_535, headerBlockSize: 1000 },
    peer,
  );
  await until(world, () => peer.over !== undefined && client.over !== undefined);
  assert.deepEqual(peer.events, ['closed by a reset, local']);
});

test('a session at rest costs nothing', { timeout: 60_000 }, async () => {
  const { client, server } = await http2Pair(world, attach);
  client.open(1, 'x');
  for (let count = 0; count < 20; count++) client.send(1, Buffer.alloc(50_000));
  await until(world, () => server.received(1) === 1_000_000);
  const before = process.cpuUsage();
  await delay(1000);
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 500_000, `${user + system} microseconds in a second`);
  client.session.abort();
});
