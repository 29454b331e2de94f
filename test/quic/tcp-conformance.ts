import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, describe, test } from 'node:test';
import { type TcpOpenError, tcpWaterMarks } from '../../src/quic/tcp-socket.js';
import { never } from './pair.js';
import { settled, TcpPeer, type TcpWorld, tcpPair, until } from './tcp-world.js';

const limit = { timeout: 120_000 };

/** One side of a connection that does anything, and what it did. */
interface Chaotic {
  readonly peer: TcpPeer;
  readonly other: TcpPeer;
  written: number;
  ended: boolean;
  cut: boolean;
}

const chaotic = (peer: TcpPeer, other: TcpPeer): Chaotic => ({
  peer,
  other,
  written: 0,
  ended: false,
  cut: false,
});

/** Numbers from 0 to 1, the same for the same seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** What every implementation of `TcpSockets` does alike. */
export function tcpConformance(name: string, makeWorld: () => TcpWorld): void {
  describe(`TCP sockets: ${name}`, () => {
    const world = makeWorld();
    after(() => world.close());
    const wait = (condition: () => boolean): Promise<void> => until(world, condition);

    test('bytes both ways, half closed one after the other', limit, async () => {
      const { client, server } = await tcpPair(world);
      assert.deepEqual(client.socket.remoteAddress, server.socket.localAddress);
      assert.deepEqual(client.socket.localAddress, server.socket.remoteAddress);
      assert.equal(client.socket.remoteAddress.address, world.address);
      client.send('hello');
      client.send(' world');
      client.socket.end();
      await wait(() => server.events.includes('end'));
      assert.equal(server.text(), 'hello world');
      assert.deepEqual(client.events, []);
      server.send('good bye');
      server.socket.end();
      await wait(() => client.over !== undefined && server.over !== undefined);
      assert.equal(client.text(), 'good bye');
      assert.deepEqual(client.events, ['data', 'end', 'ended']);
      assert.deepEqual(server.events, ['data', 'end', 'ended']);
      assert.deepEqual(client.socket.statistics(), { bytesSent: 11, bytesReceived: 8 });
      assert.deepEqual(server.socket.statistics(), { bytesSent: 8, bytesReceived: 11 });
      assert.equal(client.socket.buffered, 0);
      client.socket.reset();
      await world.settle();
      assert.deepEqual(client.events.at(-1), 'ended');
    });

    test('nothing is read beyond the credit, and an end is told without any', limit, async () => {
      const { client, server } = await tcpPair(world, { serverCredit: 0 });
      client.send('0123456789');
      client.socket.end();
      for (let count = 0; count < 10; count++) await world.settle();
      assert.deepEqual(server.events, []);
      server.socket.grant(4);
      await wait(() => server.received > 0);
      await world.settle();
      assert.equal(server.text(), '0123');
      server.socket.grant(3);
      server.socket.grant(3);
      await wait(() => server.events.includes('end'));
      assert.equal(server.text(), '0123456789');
      server.socket.end();
      await wait(() => client.over !== undefined);
      assert.deepEqual(client.events, ['end', 'ended'], 'the client never had credit for anything');

      const quiet = await tcpPair(world, { serverCredit: 0 });
      quiet.client.socket.end();
      await wait(() => quiet.server.events.includes('end'));
    });

    test('large writes both ways at once arrive whole', { timeout: 120_000 }, async () => {
      const { client, server } = await tcpPair(world);
      const size = 3_000_000;
      const bytes = Buffer.alloc(size + 2);
      for (let index = 0; index < bytes.length; index++) bytes[index] = (index * 7 + (index >> 8)) & 0xff;
      const digest = createHash('sha256')
        .update(bytes.subarray(1, size + 1))
        .digest('hex');
      for (const peer of [client, server]) {
        let at = 1;
        const more = (): void => {
          while (at <= size) {
            const end = Math.min(size + 1, at + 10_007);
            const room = peer.socket.write(bytes, at, end);
            at = end;
            if (!room) return;
          }
          peer.socket.end();
        };
        const drain = peer.drain.bind(peer);
        peer.drain = () => {
          drain();
          more();
        };
        more();
      }
      await wait(() => client.over !== undefined && server.over !== undefined);
      for (const peer of [client, server]) {
        assert.equal(peer.over?.kind, 'ended');
        assert.equal(peer.received, size);
        assert.equal(createHash('sha256').update(Buffer.concat(peer.chunks)).digest('hex'), digest);
        assert.ok(peer.drains > 0);
        assert.deepEqual(peer.socket.statistics(), { bytesSent: size, bytesReceived: size });
      }
    });

    test('a reader without credit stops the writer at the high-water mark', limit, async () => {
      const { client, server } = await tcpPair(world, { serverCredit: 0 });
      const piece = Buffer.alloc(16 * 1024, 1);
      let written = 0;
      let idle = 0;
      while (idle < 20) {
        idle++;
        while (client.socket.write(piece, 0, piece.length)) {
          written += piece.length;
          idle = 0;
        }
        written += piece.length;
        const { drains } = client;
        for (let count = 0; count < 5 && client.drains === drains; count++) await world.settle();
        if (client.drains === drains) break;
      }
      assert.ok(client.socket.buffered >= tcpWaterMarks.high);
      assert.ok(client.socket.buffered <= tcpWaterMarks.high + piece.length);
      server.socket.grant(Number.MAX_SAFE_INTEGER);
      client.socket.end();
      await wait(() => server.events.includes('end'));
      assert.equal(server.received, written);
      assert.equal(client.socket.buffered, 0);
    });

    for (const queued of [0, 10, 100_000]) {
      for (const paused of [false, true]) {
        const what = `a reset with ${queued} bytes on the way, the reader ${paused ? 'paused' : 'reading'}`;
        test(`${what}, is a reset and nothing else`, limit, async () => {
          const { client, server } = await tcpPair(world, { serverCredit: paused ? 0 : 1 << 20 });
          if (queued > 0) client.socket.write(Buffer.alloc(queued, 7), 0, queued);
          await world.settle();
          client.socket.reset();
          client.socket.reset();
          client.send('never');
          await wait(() => client.over !== undefined && server.over !== undefined);
          assert.deepEqual(client.over, { kind: 'reset', by: 'local', errno: 'ECONNABORTED' });
          assert.deepEqual(server.over, { kind: 'reset', by: 'peer', errno: 'ECONNRESET' });
          assert.ok(!server.events.includes('end'));
          if (paused) assert.equal(server.received, 0);
          assert.ok(server.received <= queued);
        });

        test(`${what} and its end before it, is a reset`, limit, async () => {
          const { client, server } = await tcpPair(world, { serverCredit: paused ? 0 : 1 << 20 });
          if (queued > 0) client.socket.write(Buffer.alloc(queued, 7), 0, queued);
          client.socket.end();
          await world.settle();
          client.socket.reset();
          await wait(() => server.over !== undefined);
          assert.deepEqual(server.over, { kind: 'reset', by: 'peer', errno: 'ECONNRESET' });
        });
      }
    }

    test('who writes to a peer that has reset hears of the reset, once', limit, async () => {
      const { client, server } = await tcpPair(world);
      server.socket.reset();
      for (let count = 0; count < 20; count++) client.send('anybody there?');
      client.socket.end();
      await wait(() => client.over !== undefined);
      assert.deepEqual(client.events, ['reset by peer: ECONNRESET']);
      await world.settle();
      assert.equal(client.events.length, 1);
      assert.equal(client.socket.buffered, 0);
      assert.equal(client.socket.write(Buffer.alloc(10), 0, 10), true);
      client.socket.grant(1);
      client.socket.end();
    });

    test('a reset tells the reader what it has not read is lost', limit, async () => {
      const { client, server } = await tcpPair(world, { serverCredit: 5 });
      server.data = function (this: TcpPeer, bytes, start, end) {
        this.chunks.push(Buffer.from(bytes.subarray(start, end)));
      };
      client.send('0123456789');
      await wait(() => server.text() === '01234');
      client.socket.reset();
      await wait(() => server.over !== undefined);
      assert.equal(server.text(), '01234');
      assert.deepEqual(server.over, { kind: 'reset', by: 'peer', errno: 'ECONNRESET' });
    });

    test('nothing is told before the promise is settled', limit, async () => {
      const listener = await settled(
        world,
        world.server.listen({ local: { address: world.address, port: 0 } }, (socket) => {
          const peer = new TcpPeer().attach(socket);
          socket.reset();
          return peer;
        }),
      );
      let open = false;
      for (let count = 0; count < 20; count++) {
        const told: boolean[] = [];
        const handler = new TcpPeer();
        handler.closed = () => told.push(open);
        open = false;
        const attempt = world.client
          .connect({ remote: listener.localAddress }, handler, new AbortController().signal)
          .then(
            () => {
              open = true;
            },
            (error: TcpOpenError) => assert.equal(error.problem, 'reset'),
          );
        await settled(world, attempt);
        if (open) await wait(() => told.length > 0);
        assert.deepEqual(told, open ? [true] : []);
      }
      listener.close();
    });

    for (const seed of [1, 2, 3]) {
      test(
        `whatever both sides do, each gets one outcome, and ends mean all arrived (${seed})`,
        limit,
        async () => {
          const random = seeded(seed);
          const pairs: Chaotic[] = [];
          while (pairs.length < 60) {
            const { client, server } = await tcpPair(world, { clientCredit: 0, serverCredit: 0 });
            pairs.push(chaotic(client, server), chaotic(server, client));
          }
          const bytes = Buffer.alloc(200_000, 9);
          for (let step = 0; step < 2000; step++) {
            const side = pairs[Math.floor(random() * pairs.length)];
            if (!side) continue;
            const { socket } = side.peer;
            const what = random();
            if (what < 0.4 && !side.ended && side.peer.over === undefined) {
              const size = Math.floor(random() ** 4 * bytes.length);
              if (socket.buffered < tcpWaterMarks.high) {
                socket.write(bytes, 0, size);
                side.written += size;
              }
            } else if (what < 0.95) socket.grant(Math.floor(random() * 300_000));
            else if (what < 0.98) {
              side.ended = true;
              socket.end();
            } else if (what < 0.985) {
              side.cut = true;
              socket.reset();
            }
            if (step % 50 === 0) await world.settle();
          }
          for (const { peer } of pairs) {
            peer.socket.grant(1 << 30);
            peer.socket.end();
          }
          await wait(() => pairs.every(({ peer }) => peer.over !== undefined));
          await world.settle();
          for (const side of pairs) {
            const { events, over, received } = side.peer;
            const outcomes = events.filter((event) => event === 'ended' || event.startsWith('reset'));
            assert.equal(outcomes.length, 1);
            assert.equal(events.at(-1), outcomes[0]);
            const other = pairs.find(({ peer }) => peer === side.other);
            assert.ok(other && received <= other.written);
            if (events.includes('end')) assert.equal(received, other.written);
            if (over?.kind === 'ended') assert.ok(events.includes('end'));
            if (!side.cut && !other.cut) assert.equal(over?.kind, 'ended');
            if (over?.kind === 'reset') assert.ok(side.cut || other.cut);
          }
          assert.ok(pairs.some(({ peer }) => peer.over?.kind === 'ended'));
          assert.ok(pairs.some(({ peer }) => peer.over?.kind === 'reset'));
        },
      );
    }

    test('nobody listens: refused', limit, async () => {
      const { listener } = await tcpPair(world);
      await world.settle();
      await assert.rejects(
        settled(world, world.client.connect({ remote: listener.localAddress }, new TcpPeer(), never)),
        (error: TcpOpenError) => error.problem === 'refused' && error.errno === 'ECONNREFUSED',
      );
    });

    test('an aborted attempt is over at once, and its handler hears nothing', limit, async () => {
      const accepted: TcpPeer[] = [];
      const listener = await settled(
        world,
        world.server.listen({ local: { address: world.address, port: 0 } }, (socket) => {
          const peer = new TcpPeer(100).attach(socket);
          accepted.push(peer);
          return peer;
        }),
      );
      const remote = listener.localAddress;
      const handler = new TcpPeer();
      const aborting = new AbortController();
      const attempt = world.client.connect({ remote }, handler, aborting.signal);
      const rejected = assert.rejects(attempt, (error: TcpOpenError) => error.problem === 'aborted');
      aborting.abort();
      await settled(world, rejected);
      await assert.rejects(
        settled(world, world.client.connect({ remote }, handler, AbortSignal.abort())),
        (error: TcpOpenError) => error.problem === 'aborted',
      );
      for (let count = 0; count < 5; count++) await world.settle();
      assert.deepEqual(handler.events, []);
      for (const peer of accepted) {
        await wait(() => peer.over !== undefined || peer.events.includes('end'));
      }
      listener.close();
    });

    test('aborting after the connection is there does nothing', limit, async () => {
      const { client, server } = await tcpPair(world);
      const aborting = new AbortController();
      const listener = await settled(
        world,
        world.server.listen({ local: { address: world.address, port: 0 } }, (socket) =>
          new TcpPeer(100).attach(socket),
        ),
      );
      const late = new TcpPeer();
      await settled(world, world.client.connect({ remote: listener.localAddress }, late, aborting.signal));
      aborting.abort();
      for (let count = 0; count < 3; count++) await world.settle();
      assert.deepEqual(late.events, []);
      listener.close();
      client.socket.reset();
      await wait(() => server.over !== undefined);
    });

    test('a port in use, and an address of another machine', limit, async () => {
      const local = { address: world.address, port: 0 };
      const accept = (): TcpPeer => new TcpPeer();
      const listener = await settled(world, world.server.listen({ local }, accept));
      assert.ok(listener.localAddress.port > 0);
      await assert.rejects(
        settled(world, world.server.listen({ local: listener.localAddress }, accept)),
        (error: TcpOpenError) => error.problem === 'no-ports' && error.errno === 'EADDRINUSE',
      );
      await assert.rejects(
        settled(world, world.server.listen({ local: { address: '203.0.113.9', port: 0 } }, accept)),
        (error: TcpOpenError) => error.problem === 'no-ports' && error.errno === 'EADDRNOTAVAIL',
      );
      listener.close();
      listener.close();
      await world.settle();
      const again = await settled(world, world.server.listen({ local: listener.localAddress }, accept));
      again.close();
    });

    test('a closed listener takes nobody more, and leaves those that it took', limit, async () => {
      const { client, server, listener } = await tcpPair(world);
      listener.close();
      await world.settle();
      client.send('still here');
      await wait(() => server.text() === 'still here');
      server.send('so am I');
      await wait(() => client.text() === 'so am I');
    });
  });
}

/** Every implementation ends all of it with the engine. */
export function tcpClosing(name: string, makeWorld: () => TcpWorld): void {
  test(`closing the engine resets TCP connections and ends attempts: ${name}`, limit, async () => {
    const world = makeWorld();
    const { client, server } = await tcpPair(world);
    await settled(world, world.close());
    await until(world, () => client.over !== undefined && server.over !== undefined);
    assert.deepEqual(client.over, { kind: 'reset', by: 'local', errno: 'ECANCELED' });
    assert.equal(server.over?.kind, 'reset');
    const local = { address: world.address, port: 0 };
    const canceled = (error: TcpOpenError): boolean => error.errno === 'ECANCELED';
    await assert.rejects(
      world.server.listen({ local }, () => new TcpPeer()),
      canceled,
    );
    await assert.rejects(
      world.client.connect({ remote: client.socket.remoteAddress }, new TcpPeer(), never),
      canceled,
    );
  });
}
