import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, describe, test } from 'node:test';
import type { ByteSplice } from '../../src/quic/byte-splice.js';
import { until as untilTrue } from '../proxy/tcp-target.js';
import { codes, frame, type Http2Attach, Http2Peer, http2Pair, preface, rawPair } from './http2-world.js';
import { capsule, contentOf, DATA, dial, type Far, FINAL_DATA, moved, spliced } from './splice-world.js';
import { nativeWorld } from './tcp-world.js';

const limit = { timeout: 120_000 };
const world = nativeWorld();
after(() => world.close());

const attach: Http2Attach = (socket, options, handler) => {
  assert.ok(socket.http2);
  return { session: socket.http2(options, handler) };
};

const wait = (condition: () => boolean): Promise<void> => untilTrue(condition, 'what was to happen');
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const begin = (
  server: Http2Peer,
  stream: number,
  far: Far,
  type?: number,
  prefix: Uint8Array = Buffer.alloc(0),
): Promise<ByteSplice | undefined> =>
  spliced((begun) => server.session.spliceBytes(stream, far.socket, { capsule: type, prefix, begun }));

/** A stream of a pair of sessions, spliced with a connection to a target. */
async function tunnel(type?: number, client = new Http2Peer()) {
  const far = await dial(world.server);
  const server = new Http2Peer(0);
  await http2Pair(world, attach, client, server);
  client.open(1, 'connect');
  await wait(() => server.has('headers 1 connect'));
  server.head(1, 'ok');
  const splice = await begin(server, 1, far, type);
  assert.ok(splice);
  return { client, server, far, splice };
}

/** The same by hand; the client's SETTINGS may say a window of streams. */
async function rawTunnel(type?: number, window?: number) {
  const far = await dial(world.server);
  const { raw, peer } = await rawPair(world, attach, 'server', {}, new Http2Peer(0));
  const settings = Buffer.alloc(window === undefined ? 0 : 6);
  if (window !== undefined) {
    settings.writeUInt16BE(4, 0);
    settings.writeUInt32BE(window, 2);
  }
  raw.put(preface, frame(4, 0, 0, settings), frame(1, 4, 1, 'connect'));
  await wait(() => peer.has('headers 1 connect'));
  const splice = await begin(peer, 1, far, type);
  assert.ok(splice);
  return { raw, peer, far, splice };
}

describe('HTTP/2 streams spliced with TCP sockets', { ...limit, concurrency: false }, () => {
  test('megabytes both ways, and both ends', limit, async () => {
    const { client, server, far, splice } = await tunnel();
    const up = randomBytes(6_000_000);
    const down = randomBytes(5_000_000);
    far.side.socket.write(down);
    let at = 0;
    while (at < up.length) {
      const seen = client.drained.length;
      const more = client.send(1, up.subarray(at, at + 20_000));
      at += 20_000;
      if (!more) await wait(() => client.drained.length > seen);
    }
    client.session.end(1);
    await wait(() => server.has('end 1') && client.received(1) === down.length);
    assert.equal(sha(client.bytes(1)), sha(down));
    far.socket.end();
    await wait(() => far.side.ended);
    assert.equal(sha(Buffer.concat(far.side.received)), sha(up));
    far.side.socket.end('the last word');
    await wait(() => far.peer.events.includes('end'));
    server.session.end(1);
    await wait(() => client.has('end 1') && far.peer.over !== undefined);
    assert.ok(client.text(1).endsWith('the last word'));
    moved(splice, up.length, down.length + 13);
    assert.deepEqual(far.peer.events, ['end', 'ended']);
    assert.deepEqual(server.events.slice(1), ['headers 1 connect', 'end 1']);
    client.session.abort();
  });

  test('many tunnels of one connection share it', limit, async () => {
    const client = new Http2Peer();
    const server = new Http2Peer(0);
    await http2Pair(world, attach, client, server);
    for (let id = 1; id < 20; id += 2) client.open(id, 'connect');
    const tunnels = await Promise.all(
      Array.from({ length: 10 }, async (_, index) => {
        const id = 1 + 2 * index;
        const far = await dial(world.server);
        await wait(() => server.has(`headers ${id} connect`));
        assert.ok(await begin(server, id, far, index % 2 === 0 ? undefined : DATA));
        return { id, far, bytes: randomBytes(300_000 + index * 12_345), capsules: index % 2 === 1 };
      }),
    );
    for (const { far, bytes } of tunnels) far.side.socket.write(bytes);
    await wait(() =>
      tunnels.every(({ id, bytes, capsules }) =>
        capsules
          ? client.received(id) > bytes.length && contentOf(client.bytes(id)).length === bytes.length
          : client.received(id) === bytes.length,
      ),
    );
    for (const { id, bytes, capsules } of tunnels) {
      const got = client.bytes(id);
      assert.equal(sha(capsules ? contentOf(got) : got), sha(bytes));
    }
    client.session.abort();
    await wait(() => server.over !== undefined);
    for (const { far } of tunnels) far.socket.reset();
  });

  test('what was told before goes first, and a splice is refused where more was', limit, async () => {
    const far = await dial(world.server);
    const client = new Http2Peer();
    const server = new Http2Peer(0);
    await http2Pair(world, attach, client, server);
    client.open(1, 'connect');
    client.send(1, 'early bytes');
    await wait(() => server.has('headers 1 connect'));
    server.session.grant(1, 5);
    // Granted, and perhaps on its way.
    assert.equal(await begin(server, 1, far), undefined);
    await wait(() => server.received(1) === 5);
    assert.ok(await begin(server, 1, far, undefined, server.bytes(1)));
    client.send(1, ' and more');
    await wait(() => far.side.text() === 'early bytes and more');
    assert.equal(server.received(1), 5);
    // A second one of either is not.
    const other = await dial(world.server);
    assert.equal(await begin(server, 1, other), undefined);
    client.open(3, 'connect');
    await wait(() => server.has('headers 3 connect'));
    assert.equal(await begin(server, 3, far), undefined);
    client.session.abort();
    await wait(() => server.over !== undefined);
    far.socket.reset();
    other.socket.reset();
  });

  test('an end that came before is told behind the bytes', limit, async () => {
    const far = await dial(world.server);
    const client = new Http2Peer();
    const server = new Http2Peer(0);
    await http2Pair(world, attach, client, server);
    client.open(1, 'connect');
    client.send(1, 'all');
    client.session.end(1);
    await wait(() => server.has('headers 1 connect'));
    await world.settle();
    assert.ok(await begin(server, 1, far));
    await wait(() => server.has('end 1'));
    far.socket.end();
    await wait(() => far.side.ended);
    assert.equal(far.side.text(), 'all');
    client.session.abort();
    await wait(() => server.over !== undefined);
    far.socket.reset();
  });

  test('a reset of the stream', limit, async () => {
    const { client, server, far } = await tunnel();
    client.send(1, 'hello');
    await wait(() => far.side.text() === 'hello');
    client.session.reset(1, codes.cancel);
    await wait(() => server.has('reset 1 8'));
    far.side.socket.write('to nobody');
    far.socket.reset();
    await wait(() => far.side.error === 'ECONNRESET' && far.peer.over !== undefined);
    client.open(3, 'alive', true);
    await wait(() => server.has('end 3'));
    client.session.abort();
  });

  test('a reset of the target, behind its last words', limit, async () => {
    const { client, server, far } = await tunnel();
    far.side.socket.write('the last words', () => far.side.socket.resetAndDestroy());
    await wait(() => far.peer.over !== undefined);
    assert.deepEqual(far.peer.over, { kind: 'reset', by: 'peer', errno: 'ECONNRESET' });
    server.session.reset(1, codes.cancel);
    await wait(() => client.has('reset 1 8'));
    assert.ok('the last words'.startsWith(client.text(1)));
    client.session.abort();
  });

  test('capsules both ways, cut anywhere', limit, async () => {
    const { raw, peer, far } = await rawTunnel(DATA);
    const content = Buffer.concat([
      capsule(DATA, 'hello'),
      capsule(0x1234, 'unknown'),
      capsule(DATA, ' world'),
    ]);
    for (const byte of content) raw.put(frame(0, 0, 1, Buffer.from([byte])));
    await wait(() => far.side.text() === 'hello world');
    const bytes = randomBytes(200_000);
    far.side.socket.write(bytes.subarray(0, 100_000));
    raw.put(frame(8, 0, 0, Buffer.from([0, 16, 0, 0])), frame(8, 0, 1, Buffer.from([0, 16, 0, 0])));
    far.side.socket.write(bytes.subarray(100_000));
    await wait(() => contentOf(raw.content(1)).length === bytes.length);
    assert.equal(sha(contentOf(raw.content(1))), sha(bytes));
    assert.ok(raw.frames().every(({ payload }) => payload.length <= 16_384));
    // What is more than bytes is told, with all behind it.
    peer.session.grant(1, 1000);
    const last = Buffer.concat([capsule(FINAL_DATA, 'end'), Buffer.from('and so on')]);
    raw.put(
      frame(0, 0, 1, Buffer.concat([capsule(DATA, '!'), last.subarray(0, 3)])),
      frame(0, 1, 1, last.subarray(3)),
    );
    await wait(() => peer.has('end 1'));
    assert.equal(far.side.text(), 'hello world!');
    assert.ok(peer.bytes(1).equals(last));
    // The other direction goes on.
    far.side.socket.write('still');
    await wait(() => contentOf(raw.content(1)).length === bytes.length + 5);
    raw.socket.reset();
    await wait(() => peer.over !== undefined);
    far.socket.reset();
  });

  test('windows that end within the header of a capsule are waited for', limit, async () => {
    const update = (stream: number, bytes: number): Buffer => {
      const payload = Buffer.alloc(4);
      payload.writeUInt32BE(bytes);
      return frame(8, 0, stream, payload);
    };
    const bytes = randomBytes(150_000);
    // The window of the stream, then that of the connection, which is 65,535 and of which 16,375 go in each frame.
    for (const [window, first, then] of [
      [5, 1, 0],
      [16_380, 1, 0],
      [1 << 20, 0, 1],
    ] as const) {
      const { raw, peer, far } = await rawTunnel(DATA, window);
      if (first === 1) raw.put(update(then, 1 << 20));
      far.side.socket.write(bytes);
      const sent = (): number => contentOf(raw.content(1)).length;
      let before = -1;
      while (before !== sent()) {
        before = sent();
        for (let count = 0; count < 10; count++) await world.settle();
      }
      assert.ok(before < 65_535);
      // A few bytes at a time: never as many as a capsule takes.
      for (let count = 0; count < 4; count++) raw.put(update(first, 1));
      await world.settle();
      raw.put(update(first, 1 << 20));
      await wait(() => sent() === bytes.length);
      assert.equal(sha(contentOf(raw.content(1))), sha(bytes));
      raw.socket.reset();
      await wait(() => peer.over !== undefined);
      far.socket.reset();
    }
  });

  test('what went to the target before a splice was given back is free in the window', limit, async () => {
    const far = await dial(world.server);
    const { raw, peer } = await rawPair(
      world,
      attach,
      'server',
      { settings: { 4: 65_536 } },
      new Http2Peer(0),
    );
    const first = Buffer.concat([
      capsule(DATA, Buffer.alloc(60_000, 1)),
      Buffer.from(capsule(FINAL_DATA, '')),
    ]);
    const frames = [
      first.subarray(0, 16_384),
      first.subarray(16_384, 32_768),
      first.subarray(32_768, 49_152),
    ];
    frames.push(first.subarray(49_152));
    raw.put(
      preface,
      frame(4, 0, 0),
      frame(1, 4, 1, 'connect'),
      ...frames.map((part) => frame(0, 0, 1, part)),
    );
    await wait(() => peer.has('headers 1 connect'));
    assert.ok(await begin(peer, 1, far, DATA));
    await wait(() => Buffer.concat(far.side.received).length === 60_000);
    const grown = (): number => raw.givenBack(1);
    await wait(() => grown() >= 60_000);
    peer.session.grant(1, 1 << 20);
    await wait(() => peer.received(1) > 0);
    assert.ok(grown() <= first.length);
    raw.socket.reset();
    await wait(() => peer.over !== undefined);
    far.socket.reset();
  });

  test('a capsule that is cut off is told, and so is a frame', limit, async () => {
    const { raw, peer, far } = await rawTunnel(DATA);
    peer.session.grant(1, 1000);
    const whole = Buffer.from(capsule(DATA, 'hello world'));
    raw.put(frame(0, 1, 1, whole.subarray(0, 9)));
    await wait(() => peer.has('end 1'));
    assert.equal(far.side.text(), 'hell');
    // The place is given back: a capsule with what is lacking.
    assert.ok(peer.bytes(1).equals(Buffer.from(capsule(DATA, 'o world')).subarray(0, 5)));
    raw.socket.reset();
    await wait(() => peer.over !== undefined);
    far.socket.reset();

    for (const how of ['reset', 'end'] as const) {
      const cut = await rawTunnel();
      cut.raw.put(frame(0, 0, 1, 'hello world').subarray(0, 14));
      await wait(() => cut.far.side.text() === 'hello');
      if (how === 'reset') cut.raw.socket.reset();
      else cut.raw.socket.end();
      await wait(() => cut.peer.over !== undefined);
      assert.ok(!cut.peer.has('end 1'), 'a loss is not an end');
      assert.equal(cut.peer.over?.kind, how === 'reset' ? 'reset' : 'ended');
      assert.equal(cut.far.peer.over, undefined);
      cut.far.socket.reset();
    }
  });

  test('a target that reads nothing holds back its own stream', limit, async () => {
    const { client, server, far } = await tunnel();
    far.side.socket.pause();
    let written = 0;
    for (let idle = 0; idle < 40; ) {
      if (client.session.buffered(1) < 60_000) {
        client.send(1, Buffer.alloc(32_000, 7));
        written += 32_000;
        idle = 0;
        assert.ok(written < 64 << 20, 'it has to wait');
      } else idle += 1;
      await world.settle();
    }
    const second = await dial(world.server);
    client.open(3, 'connect');
    await wait(() => server.has('headers 3 connect'));
    assert.ok(await begin(server, 3, second));
    client.send(3, 'beside it');
    await wait(() => second.side.text() === 'beside it');
    far.side.socket.resume();
    client.session.end(1);
    await wait(() => server.has('end 1'));
    far.socket.end();
    await wait(() => far.side.ended);
    assert.equal(Buffer.concat(far.side.received).length, written);
    client.session.abort();
    await wait(() => server.over !== undefined);
    second.socket.reset();
    far.socket.reset();
  });

  test('a client that reads nothing holds back its own target', limit, async () => {
    const { client, server, far } = await tunnel(undefined, new Http2Peer(0));
    const bytes = Buffer.alloc(8 << 20, 3);
    far.side.socket.write(bytes);
    const second = await dial(world.server);
    client.open(3, 'connect');
    client.session.grant(3, 1000);
    await wait(() => server.has('headers 3 connect'));
    assert.ok(await begin(server, 3, second));
    second.side.socket.write('beside it');
    await wait(() => client.text(3) === 'beside it');
    assert.equal(client.received(1), 0);
    client.session.grant(1, bytes.length);
    await wait(() => client.received(1) === bytes.length);
    client.session.abort();
    await wait(() => server.over !== undefined);
    second.socket.reset();
    far.socket.reset();
  });
});
