import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, describe, test } from 'node:test';
import { codes, frame, type Http2Attach, Http2Peer, http2Pair, preface, rawPair } from './http2-world.js';
import { type TcpWorld, until } from './tcp-world.js';

const limit = { timeout: 120_000 };

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Writes all of it, as the session takes it. */
async function pour(world: TcpWorld, peer: Http2Peer, stream: number, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += 16_000) {
    const seen = peer.drained.length;
    if (!peer.send(stream, bytes.subarray(at, at + 16_000))) {
      await until(world, () => peer.drained.slice(seen).includes(stream));
    }
  }
}

/** What every implementation of `Http2Session` does alike. */
export function http2SessionConformance(name: string, makeWorld: () => TcpWorld, attach: Http2Attach): void {
  describe(`HTTP/2 sessions: ${name}`, () => {
    const world = makeWorld();
    after(() => world.close());
    const wait = (condition: () => boolean): Promise<void> => until(world, condition);

    test('a request, an answer and trailers', limit, async () => {
      const { client, server } = await http2Pair(world, attach, undefined, undefined, {
        client: { settings: { 2: 0, 4: 100_000 } },
        server: { settings: { 8: 1, 4: 200_000, 5: 20_000 } },
      });
      assert.deepEqual(server.peerSettings, { 2: 0, 4: 100_000 });
      assert.deepEqual(client.peerSettings, { 4: 200_000, 5: 20_000, 8: 1 });
      client.open(1, 'request');
      client.send(1, 'hello');
      client.session.end(1);
      await wait(() => server.has('end 1'));
      assert.deepEqual(server.events.slice(1), ['headers 1 request', 'data 1', 'end 1']);
      assert.equal(server.text(1), 'hello');
      server.head(1, 'informational');
      server.head(1, 'answer');
      server.send(1, 'good ');
      server.send(1, 'bye');
      server.head(1, 'trailers', true);
      await wait(() => client.has('end 1'));
      const events = [
        'headers 1 informational',
        'headers 1 answer',
        'data 1',
        'headers 1 trailers end',
        'end 1',
      ];
      assert.deepEqual(client.events.slice(1), events);
      assert.equal(client.text(1), 'good bye');
      assert.equal(client.session.buffered(1), 0);
      client.open(3, 'no content', true);
      await wait(() => server.has('end 3'));
      assert.deepEqual(server.events.slice(-2), ['headers 3 no content end', 'end 3']);
      client.session.abort();
      await wait(() => server.over !== undefined && client.over !== undefined);
    });

    test('a server that has greeted says nothing first, and goes by what it said', limit, async () => {
      const told = { greeted: true, settings: { 4: 10, 5: 20_000 }, connectionWindow: 100_000 };
      const { raw, peer } = await rawPair(world, attach, 'server', told, new Http2Peer(0));
      raw.put(preface, frame(4, 0, 0));
      await wait(() => peer.peerSettings !== undefined && raw.frames().length > 0);
      for (let count = 0; count < 5; count++) await world.settle();
      assert.deepEqual(
        raw.frames().map(({ type, flags }) => [type, flags]),
        [[4, 1]],
      );
      raw.put(frame(4, 1, 0), frame(1, 4, 1, 'one'), frame(0, 0, 1, 'elevenbytes'));
      await wait(() => peer.has(`failed ${codes.flowControlError}`));
      raw.socket.reset();
      await wait(() => peer.over !== undefined);
    });

    test('the window of a stream is wide once a quarter of it was wanted', limit, async () => {
      const { raw, peer } = await rawPair(
        world,
        attach,
        'server',
        { settings: { 4: 1_000 }, streamWindow: 5_000 },
        new Http2Peer(0),
      );
      raw.put(preface, frame(4, 0, 0), frame(4, 1, 0), frame(1, 4, 1, 'one'), frame(1, 4, 3, 'two'));
      raw.put(frame(0, 0, 1, Buffer.alloc(1_000)), frame(0, 0, 3, Buffer.alloc(1_000)));
      await wait(() => peer.has('headers 3 two'));
      const grown = (): number[] =>
        raw
          .frames()
          .filter(({ type, stream }) => type === 8 && stream > 0)
          .map(({ payload }) => payload.readUInt32BE(0));
      peer.session.grant(1, 249);
      await wait(() => peer.received(1) === 249);
      await world.settle();
      assert.deepEqual(grown(), []);
      peer.session.grant(1, 10_000);
      await wait(() => grown().length === 1);
      assert.deepEqual(grown(), [5_000]);
      for (let count = 0; count < 5; count++) raw.put(frame(0, 0, 1, Buffer.alloc(1_000)));
      await wait(() => grown().length === 2);
      assert.deepEqual(grown(), [5_000, 3_000]);
      raw.put(frame(0, 0, 3, 'x'));
      await wait(() => peer.has(`failed ${codes.flowControlError}`));
      raw.socket.reset();
      await wait(() => peer.over !== undefined);
    });

    test('bytes within the credit, and the end behind the last of them', limit, async () => {
      const { client, server } = await http2Pair(world, attach, undefined, new Http2Peer(0));
      client.open(1, 'x');
      client.send(1, '0123456789');
      client.session.end(1);
      await wait(() => server.has('headers 1 x'));
      for (let count = 0; count < 10; count++) await world.settle();
      assert.equal(server.received(1), 0);
      server.session.grant(1, 4);
      await wait(() => server.received(1) > 0);
      await world.settle();
      assert.equal(server.text(1), '0123');
      server.session.grant(1, 3);
      server.session.grant(1, 2);
      await wait(() => server.received(1) === 9);
      await world.settle();
      assert.ok(!server.has('end 1'));
      server.session.grant(1, 1);
      await wait(() => server.has('end 1'));
      assert.equal(server.text(1), '0123456789');
      client.session.abort();
    });

    test('megabytes both ways at once, on several streams', limit, async () => {
      const { client, server } = await http2Pair(world, attach);
      const ids = [1, 3, 5];
      const up = ids.map((id) => randomBytes((1 << 20) + id * 1000));
      const down = ids.map((id) => randomBytes((1 << 20) + id * 777));
      ids.forEach((id) => void client.open(id, 'x'));
      await wait(() => ids.every((id) => server.has(`headers ${id} x`)));
      await Promise.all(
        ids.flatMap((id, index) => [
          pour(world, client, id, up[index] as Buffer).then(() => client.session.end(id)),
          pour(world, server, id, down[index] as Buffer).then(() => server.session.end(id)),
        ]),
      );
      await wait(() => ids.every((id) => server.has(`end ${id}`) && client.has(`end ${id}`)));
      ids.forEach((id, index) => {
        assert.equal(sha(server.bytes(id)), sha(up[index] as Buffer));
        assert.equal(sha(client.bytes(id)), sha(down[index] as Buffer));
      });
      client.session.abort();
    });

    test('a reader who stalls holds back its own stream alone', limit, async () => {
      const { client, server } = await http2Pair(world, attach, undefined, new Http2Peer(0), {
        server: { settings: { 4: 65_535 }, connectionWindow: 65_535 },
      });
      for (let id = 1; id < 40; id += 2) {
        client.open(id, 'stalled');
        for (let count = 0; count < 16; count++) client.send(id, Buffer.alloc(8_192));
      }
      client.open(101, 'flows');
      const bytes = randomBytes(600_000);
      const poured = pour(world, client, 101, bytes);
      await wait(() => server.has('headers 101 flows'));
      server.session.grant(101, 1 << 20);
      await poured;
      await wait(() => server.received(101) === bytes.length);
      assert.equal(sha(server.bytes(101)), sha(bytes));
      assert.equal(server.received(1), 0);
      assert.ok(client.session.buffered(1) >= 131_072 - 65_535);
      client.session.abort();
    });

    test('write says when it is enough, and drain when it is not', limit, async () => {
      const { client, server } = await http2Pair(world, attach, undefined, new Http2Peer(0), {
        server: { settings: { 4: 10_000 } },
      });
      client.open(1, 'x');
      let written = 0;
      while (client.send(1, Buffer.alloc(1000))) written += 1000;
      assert.ok(written >= 60_000 && written <= 80_000, `${written}`);
      await wait(() => server.has('headers 1 x'));
      assert.deepEqual(client.drained, []);
      server.session.grant(1, 1 << 20);
      await wait(() => client.drained.length === 1);
      await wait(() => client.session.buffered(1) === 0);
      client.session.abort();
    });

    test('that all is sent is told once it is, with END_STREAM', limit, async () => {
      const { client, server } = await http2Pair(world, attach, undefined, new Http2Peer(0), {
        server: { settings: { 4: 10_000 } },
      });
      client.open(1, 'content');
      client.send(1, Buffer.alloc(30_000));
      client.session.end(1);
      client.open(3, 'no content', true);
      client.open(5, 'only an end');
      client.session.end(5);
      client.open(7, 'trailers');
      client.send(7, 'x');
      client.head(7, 'last', true);
      client.open(9, 'goes on');
      client.send(9, 'x');
      client.open(11, 'reset');
      client.session.end(11);
      client.session.reset(11, codes.cancel);
      await wait(() => server.has('headers 11 reset') || server.has('reset 11 8'));
      await wait(() => client.sentAll.length >= 3);
      for (let count = 0; count < 5; count++) await world.settle();
      assert.deepEqual([...client.sentAll].sort(), [3, 5, 7]);
      server.session.grant(1, 30_000);
      await wait(() => client.sentAll.includes(1));
      await wait(() => server.has('end 1'));
      assert.equal(server.received(1), 30_000);
      assert.equal(client.sentAll.length, 4);
      client.session.abort();
    });

    test('resets both ways', limit, async () => {
      const { client, server } = await http2Pair(world, attach, undefined, new Http2Peer(0));
      client.open(1, 'x');
      client.send(1, 'within beyond');
      await wait(() => server.has('headers 1 x'));
      server.session.grant(1, 6);
      await wait(() => server.received(1) === 6);
      client.session.reset(1, codes.cancel);
      client.send(1, 'nothing');
      client.session.end(1);
      await wait(() => server.has('reset 1 8'));
      assert.equal(server.text(1), 'within');
      server.send(1, 'nothing');
      server.session.end(1);
      assert.equal(server.session.buffered(1), 0);

      client.open(3, 'y');
      await wait(() => server.has('headers 3 y'));
      server.head(3, 'answer');
      server.session.reset(3, codes.cancel);
      await wait(() => client.has('reset 3 8'));
      assert.deepEqual(client.events.slice(-2), ['headers 3 answer', 'reset 3 8']);
      // What was on its way is no fault.
      client.open(5, 'z');
      for (let count = 0; count < 8; count++) client.send(5, Buffer.alloc(8000));
      server.session.reset(5, codes.cancel);
      await wait(() => client.has('reset 5 8'));
      client.open(7, 'alive', true);
      await wait(() => server.has('end 7'));
      client.session.abort();
    });

    test('pings, later settings, and GOAWAY', limit, async () => {
      const { client, server } = await http2Pair(world, attach);
      client.session.ping(Buffer.from('12345678'));
      client.session.ping(Buffer.from('abcdefgh'));
      await wait(() => client.has('pong abcdefgh'));
      assert.deepEqual(client.events.slice(1), ['pong 12345678', 'pong abcdefgh']);
      client.session.settings({ 4: 1000, 119: 7 });
      await wait(() => server.peerSettings?.[0x77] === 7);
      client.open(1, 'x');
      await wait(() => server.has('headers 1 x'));
      const bytes = randomBytes(100_000);
      await pour(world, server, 1, bytes);
      await wait(() => client.received(1) === bytes.length);
      assert.equal(sha(client.bytes(1)), sha(bytes));
      server.session.goaway(1, 0, 'see you');
      await wait(() => client.has('goaway 1 0 see you'));
      // It is not the end of what runs.
      server.send(1, 'more');
      await wait(() => client.received(1) === bytes.length + 4);
      client.session.abort();
    });

    test('long header blocks go in several frames', limit, async () => {
      const { client, server } = await http2Pair(world, attach);
      client.session.headers(1, Buffer.alloc(50_000, 7), true);
      await wait(() => server.has('end 1'));
      assert.deepEqual(server.events.slice(1), ['headers 1 50000 bytes end', 'end 1']);
      client.session.headers(3, Buffer.alloc(65_537, 7), true);
      await wait(() => server.has(`failed ${codes.enhanceYourCalm}`));
      await wait(() => client.events.some((event) => event.startsWith('goaway 1 11')));
      client.session.abort();
      await wait(() => server.over !== undefined);
    });

    test('a hundred streams in any order', limit, async () => {
      const { client, server } = await http2Pair(world, attach);
      const sizes = new Map<number, number>();
      for (let id = 1; id < 200; id += 2) {
        const size = (id * 7919) % 60_000;
        sizes.set(id, size);
        client.open(id, 'x');
        client.send(id, Buffer.alloc(size, id));
        client.session.end(id);
      }
      await wait(() => [...sizes.keys()].every((id) => server.has(`end ${id}`)));
      for (const [id, size] of sizes) {
        assert.ok(server.bytes(id).equals(Buffer.alloc(size, id)), `stream ${id}`);
        server.head(id, 'answer', true);
      }
      await wait(() => [...sizes.keys()].every((id) => client.has(`end ${id}`)));
      client.session.abort();
    });

    test('closing sends all that waits', limit, async () => {
      const { client, server } = await http2Pair(world, attach);
      client.open(1, 'x');
      for (let count = 0; count < 10; count++) client.send(1, Buffer.alloc(5_000, 1));
      client.session.end(1);
      client.session.goaway(0, 0, '');
      client.session.close();
      client.send(1, 'nothing');
      await wait(() => client.over !== undefined && server.over !== undefined);
      assert.equal(server.received(1), 50_000);
      assert.ok(server.has('goaway 0 0 ') && server.has('end 1'));
      assert.equal(server.events.at(-1), 'closed');
      assert.deepEqual(client.events.slice(1), ['closed']);
    });

    test('a reset of the socket is told as one', limit, async () => {
      const { client, server } = await http2Pair(world, attach);
      client.open(1, 'x');
      await wait(() => server.has('headers 1 x'));
      client.session.abort();
      await wait(() => client.over !== undefined && server.over !== undefined);
      assert.deepEqual(client.events.at(-1), 'closed by a reset, local');
      assert.deepEqual(server.events.at(-1), 'closed by a reset, peer');
      server.send(1, 'nothing');
      server.session.reset(1, 1);
      server.session.close();
      server.session.abort();
    });

    test('frames that are cut anywhere', limit, async () => {
      const { raw, peer } = await rawPair(world, attach);
      const bytes = Buffer.concat([
        preface,
        frame(4, 0, 0, Buffer.from([0, 3, 0, 0, 0, 100])),
        frame(1, 0, 1, 'he'),
        frame(9, 4, 1, 'ad'),
        frame(0, 8, 1, Buffer.from('\x03hello\0\0\0')),
        frame(0x66, 0xff, 7, 'unknown'),
        frame(6, 0, 0, '12345678'),
        frame(0, 1, 1, ' world'),
      ]);
      for (const byte of bytes) {
        raw.put(Buffer.from([byte]));
        await world.settle();
      }
      await wait(() => peer.has('end 1'));
      assert.equal(peer.text(1), 'hello world');
      assert.deepEqual(peer.events.slice(0, 2), ['settings {"3":100}', 'headers 1 head']);
      await wait(() => raw.frames().some(({ type }) => type === 6));
      const acks = raw.frames().filter(({ type, flags }) => (type === 6 || type === 4) && flags === 1);
      assert.deepEqual(
        acks.map(({ type, payload }) => [type, payload.toString()]),
        [
          [4, ''],
          [6, '12345678'],
        ],
      );
      raw.socket.reset();
      await wait(() => peer.over !== undefined);
    });

    test('what breaks the rules ends the connection with a code', limit, async () => {
      const open = frame(1, 4, 1, 'x');
      const cases: readonly (readonly [Buffer, number])[] = [
        [frame(0, 0, 1, 'x'), codes.protocolError],
        [frame(0, 0, 0, 'x'), codes.protocolError],
        [frame(1, 4, 0, 'x'), codes.protocolError],
        [frame(5, 4, 1, 'xxxx'), codes.protocolError],
        [frame(9, 4, 1, 'x'), codes.protocolError],
        [Buffer.concat([frame(1, 0, 1, 'x'), frame(6, 0, 0, '12345678')]), codes.protocolError],
        [Buffer.concat([open, frame(0, 8, 1, Buffer.from([5, 1]))]), codes.protocolError],
        [Buffer.concat([open, frame(8, 0, 0, Buffer.alloc(4))]), codes.protocolError],
        [frame(4, 0, 0, 'five!'), codes.frameSizeError],
        [frame(6, 0, 0, 'seven77'), codes.frameSizeError],
        [frame(8, 0, 0, 'xxx'), codes.frameSizeError],
        [Buffer.concat([open, frame(0, 0, 1, Buffer.alloc(16_385))]), codes.frameSizeError],
        [frame(4, 0, 0, Buffer.from([0, 4, 0xff, 0, 0, 0])), codes.flowControlError],
        [frame(8, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])), codes.flowControlError],
        [
          Buffer.concat([open, ...new Array<Buffer>(17).fill(frame(0, 0, 1, Buffer.alloc(16_384)))]),
          codes.flowControlError,
        ],
      ];
      for (const [bytes, code] of cases) {
        const { raw, peer } = await rawPair(world, attach, 'server', {}, new Http2Peer(0));
        raw.put(preface, frame(4, 0, 0), bytes, frame(1, 4, 3, 'late'));
        await wait(() => peer.has(`failed ${code}`));
        await wait(() => raw.goawayCode() !== undefined && raw.events.includes('end'));
        assert.equal(raw.goawayCode(), code);
        raw.socket.end();
        await wait(() => peer.over !== undefined);
        assert.deepEqual(peer.events.slice(-2), [`failed ${code}`, 'closed']);
      }
    });

    test('what is no HTTP/2 is refused', limit, async () => {
      for (const role of ['server', 'client'] as const) {
        const { raw, peer } = await rawPair(world, attach, role);
        raw.put(Buffer.from('GET / HTTP/1.1\r\nhost: example\r\n\r\n'));
        await wait(() => peer.events.some((event) => event.startsWith('failed')));
        raw.socket.reset();
        await wait(() => peer.over !== undefined);
      }
    });

    test('faults of one stream end that', limit, async () => {
      const { raw, peer } = await rawPair(world, attach);
      raw.put(preface, frame(4, 0, 0), frame(1, 4, 1, 'one'), frame(1, 4, 3, 'two'), frame(1, 4, 5, 'three'));
      raw.put(frame(8, 0, 1, Buffer.alloc(4)), frame(8, 0, 3, Buffer.from([0x7f, 0xff, 0xff, 0xff])));
      raw.put(frame(0, 1, 5), frame(0, 0, 5, 'late'), frame(1, 5, 7, 'four'));
      await wait(() => peer.has('end 7'));
      assert.ok(peer.has('reset 1 1') && peer.has('reset 3 3') && peer.has('reset 5 5'), `${peer.events}`);
      await wait(() => raw.frames().filter(({ type }) => type === 3).length === 3);
      raw.socket.reset();
      await wait(() => peer.over !== undefined);
    });

    test("the peer's windows are kept", limit, async () => {
      const { raw, peer } = await rawPair(world, attach);
      raw.put(preface, frame(4, 0, 0, Buffer.from([0, 4, 0, 0, 0, 10])), frame(1, 4, 1, 'one'));
      await wait(() => peer.has('headers 1 one'));
      peer.send(1, '0123456789abcdef');
      peer.session.end(1);
      peer.session.ping(Buffer.from('12345678'));
      await wait(() => raw.frames().some(({ type, flags }) => type === 6 && flags === 0));
      await world.settle();
      assert.equal(raw.content(1).toString(), '0123456789');
      // Less than nothing, and then enough.
      raw.put(frame(4, 0, 0, Buffer.from([0, 4, 0, 0, 0, 2])), frame(8, 0, 1, Buffer.from([0, 0, 0, 9])));
      await wait(() => raw.content(1).length === 11);
      raw.put(frame(4, 0, 0, Buffer.from([0, 4, 0, 0, 1, 0])));
      await wait(() => raw.content(1).length === 16);
      await wait(() => raw.frames().some(({ type, flags }) => type === 0 && flags === 1));
      raw.socket.reset();
      await wait(() => peer.over !== undefined);
    });

    test('windows are given back as bytes are delivered', limit, async () => {
      const { raw, peer } = await rawPair(
        world,
        attach,
        'server',
        { settings: { 4: 1000 } },
        new Http2Peer(0),
      );
      raw.put(
        preface,
        frame(4, 0, 0),
        frame(4, 1, 0),
        frame(1, 4, 1, 'one'),
        frame(0, 0, 1, Buffer.alloc(1000)),
      );
      await wait(() => peer.has('headers 1 one'));
      const given = (): number => raw.givenBack(1);
      await world.settle();
      assert.equal(given(), 0);
      peer.session.grant(1, 600);
      await wait(() => given() === 600);
      peer.session.grant(1, 10_000);
      await wait(() => peer.received(1) === 1000);
      raw.put(frame(0, 0, 1, Buffer.alloc(600)));
      await wait(() => peer.received(1) === 1600);
      await wait(() => given() >= 1100);
      raw.socket.reset();
      await wait(() => peer.over !== undefined);
    });

    test('a peer that asks and does not listen is not heard', limit, async () => {
      const { raw, peer } = await rawPair(world, attach);
      raw.put(preface, frame(4, 0, 0));
      await wait(() => peer.peerSettings !== undefined);
      const pings = Buffer.concat(new Array<Buffer>(4000).fill(frame(6, 0, 0, '12345678')));
      for (let count = 0; count < 100; count++) raw.put(pings);
      await wait(() => raw.frames().filter(({ type }) => type === 6).length >= 4000);
      raw.socket.reset();
      await wait(() => peer.over !== undefined);
    });
  });
}
