import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, describe, test } from 'node:test';
import type { ByteSplice } from '../../src/quic/byte-splice.js';
import type { TcpSocket } from '../../src/quic/tcp-socket.js';
import { until as untilTrue } from '../proxy/tcp-target.js';
import { capsule, contentOf, DATA, dial, type Far, FINAL_DATA, moved, spliced } from './splice-world.js';
import { nativeWorld, type TcpPeer, tcpPair } from './tcp-world.js';

const limit = { timeout: 120_000 };
const world = nativeWorld();
after(() => world.close());

const wait = (condition: () => boolean): Promise<void> => untilTrue(condition, 'what was to happen');
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const begin = (
  near: TcpSocket,
  far: Far,
  type?: number,
  prefix: Uint8Array = Buffer.alloc(0),
): Promise<ByteSplice | undefined> =>
  spliced((begun) => {
    assert.ok(near.spliceTo);
    return near.spliceTo(far.socket, { capsule: type, prefix, begun });
  });

const bytes = (peer: TcpPeer): Buffer => Buffer.concat(peer.chunks);

/** A connection of which 4 bytes were read, spliced with one to a target. */
async function tunnel(type?: number) {
  const far = await dial(world.server);
  const { client, server } = await tcpPair(world, { serverCredit: 0 });
  server.socket.grant(4);
  client.send('head');
  await wait(() => server.text() === 'head');
  const splice = await begin(server.socket, far, type);
  assert.ok(splice);
  return { client, server, far, splice };
}

const put = (peer: TcpPeer, content: Uint8Array): boolean => peer.socket.write(content, 0, content.length);

describe('TCP sockets spliced with each other', { ...limit, concurrency: false }, () => {
  test('megabytes both ways, and both ends', limit, async () => {
    const { client, server, far, splice } = await tunnel();
    const up = randomBytes(6_000_000);
    const down = randomBytes(5_000_000);
    far.side.socket.write(down);
    for (let at = 0; at < up.length; at += 20_000) {
      const seen = client.drains;
      if (!put(client, up.subarray(at, at + 20_000))) await wait(() => client.drains > seen);
    }
    client.socket.end();
    await wait(() => server.events.includes('end'));
    far.socket.end();
    await wait(() => far.side.ended && client.received === down.length);
    assert.equal(sha(bytes(client)), sha(down));
    assert.equal(sha(Buffer.concat(far.side.received)), sha(up));
    far.side.socket.end('the last word');
    await wait(() => far.peer.events.includes('end'));
    server.socket.end();
    await wait(() => server.over !== undefined && client.over !== undefined);
    assert.ok(client.text().endsWith('the last word'));
    moved(splice, up.length, down.length + 13);
    assert.deepEqual(server.events, ['data', 'end', 'ended']);
    assert.deepEqual(far.peer.events, ['end', 'ended']);
  });

  test('credit that is left is of no use, and more than was known refuses', limit, async () => {
    const far = await dial(world.server);
    const { client, server } = await tcpPair(world, { serverCredit: 0 });
    server.socket.grant(1000);
    client.send('head');
    await wait(() => server.text() === 'head');
    assert.ok(await begin(server.socket, far, undefined, Buffer.from('pre')));
    client.send('fix');
    await wait(() => far.side.text() === 'prefix');
    assert.equal(server.text(), 'head');
    const other = await dial(world.server);
    assert.equal(await begin(server.socket, other), undefined, 'there is one');
    client.socket.reset();
    far.socket.reset();

    const late = await tcpPair(world, { serverCredit: 0 });
    late.server.socket.grant(1000);
    late.client.send('head');
    const asked = begin(late.server.socket, other);
    // Either it came before, or all of it is the target's.
    const splice = await asked;
    await wait(() => (splice ? other.side.text() : late.server.text()) === 'head');
    if (!splice) assert.ok(await begin(late.server.socket, other));
    late.client.socket.reset();
    other.socket.reset();
  });

  test('the far one may have been read and written too', limit, async () => {
    const far = await dial(world.server);
    const { client, server } = await tcpPair(world, { serverCredit: 0 });
    far.socket.grant(1000);
    far.side.socket.write('head');
    await wait(() => far.peer.text() === 'head');
    put(far.peer, Buffer.from('before '));
    put(server, Buffer.from('before '));
    assert.ok(await begin(server.socket, far));
    far.side.socket.write('after');
    client.send('after');
    await wait(() => client.text() === 'before after' && far.side.text() === 'before after');
    assert.equal(far.peer.text(), 'head', 'what was left of its credit is of no use');
    client.socket.reset();
    far.socket.reset();

    const late = await dial(world.server);
    const pair = await tcpPair(world, { serverCredit: 0 });
    late.socket.grant(1000);
    late.side.socket.write('head');
    // Either it came before, or all of it is the near side's.
    const splice = await begin(pair.server.socket, late);
    await wait(() => (splice ? pair.client.text() : late.peer.text()) === 'head');
    if (!splice) assert.ok(await begin(pair.server.socket, late));
    pair.client.socket.reset();
    late.socket.reset();
  });

  test('a reset of either end is told', limit, async () => {
    const one = await tunnel();
    one.client.socket.reset();
    await wait(() => one.server.over !== undefined);
    assert.deepEqual(one.server.over, { kind: 'reset', by: 'peer', errno: 'ECONNRESET' });
    assert.equal(one.far.peer.over, undefined);
    one.far.socket.reset();
    await wait(() => one.far.side.error === 'ECONNRESET');

    const other = await tunnel();
    other.far.side.socket.write('the last words', () => other.far.side.socket.resetAndDestroy());
    await wait(() => other.far.peer.over !== undefined);
    assert.deepEqual(other.far.peer.over, { kind: 'reset', by: 'peer', errno: 'ECONNRESET' });
    assert.equal(other.server.over, undefined);
    other.server.socket.reset();
    await wait(() => other.client.over !== undefined);
    assert.ok('the last words'.startsWith(other.client.text()));
  });

  test('capsules both ways, cut anywhere', limit, async () => {
    const { client, server, far, splice } = await tunnel(DATA);
    const content = Buffer.concat([
      capsule(DATA, 'hello'),
      capsule(0x1234, 'unknown'),
      capsule(DATA, ' world'),
    ]);
    for (const byte of content) {
      put(client, Buffer.from([byte]));
      await world.settle();
    }
    await wait(() => far.side.text() === 'hello world');
    const down = randomBytes(300_000);
    far.side.socket.write(down);
    await wait(() => contentOf(bytes(client)).length === down.length);
    assert.equal(sha(contentOf(bytes(client))), sha(down));
    moved(splice, 11, down.length);
    const last = Buffer.concat([capsule(FINAL_DATA, 'end'), Buffer.from('and so on')]);
    server.socket.grant(1000);
    put(client, Buffer.concat([capsule(DATA, '!'), last.subarray(0, 3)]));
    await wait(() => far.side.text() === 'hello world!');
    put(client, last.subarray(3));
    client.socket.end();
    await wait(() => server.events.includes('end'));
    assert.ok(bytes(server).equals(Buffer.concat([Buffer.from('head'), last])));
    far.side.socket.write('still');
    await wait(() => contentOf(bytes(client)).length === down.length + 5);
    server.socket.reset();
    far.socket.reset();
  });

  test('a capsule that is cut off is told', limit, async () => {
    const { client, server, far } = await tunnel(DATA);
    put(client, Buffer.from(capsule(DATA, 'hello world')).subarray(0, 9));
    client.socket.end();
    await wait(() => server.events.includes('end'));
    assert.equal(far.side.text(), 'hell');
    assert.ok(
      bytes(server)
        .subarray(4)
        .equals(Buffer.from(capsule(DATA, 'o world')).subarray(0, 5)),
    );
    server.socket.reset();
    far.socket.reset();
  });

  test('whoever reads nothing holds back the other', limit, async () => {
    const { client, far, splice } = await tunnel();
    far.side.socket.pause();
    let written = 0;
    for (let idle = 0; idle < 40; ) {
      if (client.socket.buffered < 60_000) {
        put(client, Buffer.alloc(32_000, 7));
        written += 32_000;
        idle = 0;
        assert.ok(written < 64 << 20, 'it has to wait');
      } else idle += 1;
      await world.settle();
    }
    assert.ok(splice.statistics().bytesIn < written);
    far.side.socket.resume();
    await wait(() => splice.statistics().bytesIn === written);
    client.socket.reset();
    far.socket.reset();
  });
});
