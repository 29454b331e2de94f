import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { never } from './pair.js';
import { nativeWorld, plenty, TcpPeer, until } from './tcp-world.js';

const limit = { timeout: 120_000 };

/** The engine against sockets of Node: their FIN and RST are those of any program. */
describe('TCP resets by foreign sockets', () => {
  const world = nativeWorld();
  let server: Server;
  const waiting: ((socket: Socket) => void)[] = [];

  before(async () => {
    server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      socket.on('error', () => undefined);
      waiting.shift()?.(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  after(async () => {
    server.close();
    await world.close();
  });

  const pair = async (credit: number): Promise<{ peer: TcpPeer; foreign: Socket }> => {
    const accepted = new Promise<Socket>((resolve) => waiting.push(resolve));
    const { port } = server.address() as AddressInfo;
    const peer = new TcpPeer(credit);
    peer.attach(await world.client.connect({ remote: { address: '127.0.0.1', port } }, peer, never));
    return { peer, foreign: await accepted };
  };
  const written = (socket: Socket, bytes: Buffer): Promise<void> =>
    new Promise((resolve) => socket.write(bytes, () => resolve()));

  for (const queued of [0, 100, 200_000]) {
    for (const credit of [0, plenty]) {
      const reader = credit === 0 ? 'paused' : 'reading';
      test(`RST behind ${queued} bytes, the reader ${reader}`, limit, async () => {
        const { peer, foreign } = await pair(credit);
        await written(foreign, Buffer.alloc(queued));
        foreign.resetAndDestroy();
        await until(world, () => peer.over !== undefined);
        assert.deepEqual(peer.over, { kind: 'reset', by: 'peer', errno: 'ECONNRESET' });
        assert.ok(!peer.events.includes('end'));
        if (credit === 0) assert.equal(peer.received, 0);
      });

      test(`RST behind ${queued} bytes and FIN, the reader ${reader}`, limit, async () => {
        const { peer, foreign } = await pair(credit);
        await written(foreign, Buffer.alloc(queued));
        await new Promise<void>((resolve) => foreign.end(resolve));
        // The end may be told; the reset that follows it is told nevertheless.
        if (credit > 0) await until(world, () => peer.events.includes('end'));
        foreign.resetAndDestroy();
        await until(world, () => peer.over !== undefined);
        assert.deepEqual(peer.over, { kind: 'reset', by: 'peer', errno: 'ECONNRESET' });
        if (credit > 0) assert.equal(peer.received, queued);
      });

      test(`RST behind ${queued} bytes after our own end, the reader ${reader}`, limit, async () => {
        const { peer, foreign } = await pair(credit);
        peer.socket.end();
        foreign.resume();
        await new Promise<void>((resolve) => foreign.once('end', resolve));
        await written(foreign, Buffer.alloc(queued));
        foreign.resetAndDestroy();
        await until(world, () => peer.over !== undefined);
        assert.deepEqual(peer.over, { kind: 'reset', by: 'peer', errno: 'ECONNRESET' });
        assert.ok(!peer.events.includes('end'));
      });
    }
  }

  test('what came just before a reset is told within the credit', limit, async () => {
    for (const credit of [10, plenty]) {
      const { peer, foreign } = await pair(0);
      peer.socket.grant(credit);
      await world.settle();
      foreign.write('421 too many connections');
      foreign.resetAndDestroy();
      await until(world, () => peer.over !== undefined);
      assert.equal(peer.text(), '421 too many connections'.slice(0, credit));
      assert.deepEqual(peer.events, ['data', 'reset by peer: ECONNRESET']);
    }
  });

  test('a peer that closes with bytes unread resets, in the middle of our writing too', limit, async () => {
    const { peer, foreign } = await pair(plenty);
    const bytes = Buffer.alloc(32 * 1024);
    while (peer.socket.write(bytes, 0, bytes.length));
    await until(world, () => peer.socket.statistics().bytesSent > 0);
    foreign.destroy();
    await until(world, () => peer.over !== undefined);
    assert.equal(peer.over?.kind, 'reset');
    assert.equal(peer.socket.buffered, 0);
  });

  test('writing after the peer has closed in full is a reset', limit, async () => {
    const { peer, foreign } = await pair(plenty);
    foreign.destroy();
    await until(world, () => peer.events.includes('end'));
    while (!peer.over) {
      peer.send('anybody there?');
      await world.settle();
    }
    assert.deepEqual(peer.events, ['end', 'reset by peer: ECONNRESET']);
  });

  test('a clean end both ways is no reset, with bytes up to the last moment', limit, async () => {
    const { peer, foreign } = await pair(plenty);
    const chunks: Buffer[] = [];
    foreign.on('data', (chunk) => chunks.push(chunk));
    const ended = new Promise<void>((resolve) => foreign.once('end', resolve));
    const bytes = Buffer.alloc(500_000, 3);
    await written(foreign, bytes);
    foreign.end();
    await until(world, () => peer.events.includes('end'));
    assert.equal(peer.received, bytes.length);
    peer.socket.write(bytes, 0, bytes.length);
    peer.socket.end();
    // The outcome comes when the kernel has all of it; the peer reads on.
    foreign.pause();
    foreign.resume();
    await ended;
    assert.deepEqual(Buffer.concat(chunks), bytes);
    await until(world, () => peer.over !== undefined);
    assert.deepEqual(peer.over, { kind: 'ended' });
  });

  test('what our reset is to them: ECONNRESET', limit, async () => {
    for (const size of [0, 100_000]) {
      const { peer, foreign } = await pair(plenty);
      const failed = new Promise<NodeJS.ErrnoException>((resolve) => foreign.once('error', resolve));
      let got = 0;
      foreign.resume();
      // A paused socket of Node would take the reset for an end.
      foreign.on('data', (chunk) => {
        got += chunk.length;
      });
      peer.socket.write(Buffer.alloc(size), 0, size);
      await until(world, () => got === size);
      peer.socket.reset();
      assert.equal((await failed).code, 'ECONNRESET');
      await until(world, () => peer.over !== undefined);
      assert.deepEqual(peer.over, { kind: 'reset', by: 'local', errno: 'ECONNABORTED' });
    }
  });

  test(
    'a connection that was reset before it was accepted is told as reset, or not at all',
    limit,
    async () => {
      const peers: TcpPeer[] = [];
      const listener = await world.server.listen({ local: { address: '127.0.0.1', port: 0 } }, (socket) => {
        const peer = new TcpPeer(plenty).attach(socket);
        peers.push(peer);
        return peer;
      });
      const { port } = listener.localAddress;
      for (let count = 0; count < 20; count++) {
        const foreign = connect(port, '127.0.0.1');
        foreign.on('error', () => undefined);
        await new Promise<void>((resolve) => foreign.once('connect', resolve));
        if (count % 2) foreign.write('some bytes');
        foreign.resetAndDestroy();
      }
      const last = connect(port, '127.0.0.1');
      await until(world, () => peers.some((peer) => peer.socket.remoteAddress.port === last.localPort));
      const others = peers.filter((peer) => peer.socket.remoteAddress.port !== last.localPort);
      await until(world, () => others.every((peer) => peer.over));
      for (const peer of others) assert.equal(peer.over?.kind, 'reset');
      last.destroy();
      listener.close();
    },
  );
});
