import assert from 'node:assert/strict';
import test from 'node:test';
import { createSocketStream, type SocketStream } from '../../../src/http/tcp/socket-stream.js';
import { bindTcpConnection, type TcpConnection } from '../../../src/http/tcp/tcp-connection.js';
import type { TcpEnd } from '../../../src/quic/tcp-socket.js';
import {
  nativeWorld,
  plenty,
  settled,
  simulatedWorld,
  TcpPeer,
  type TcpWorld,
  until,
} from '../../quic/tcp-world.js';

const limit = { timeout: 60_000 };

interface Streamed {
  readonly connection: TcpConnection;
  readonly stream: SocketStream;
  readonly peer: TcpPeer;
  readonly ends: TcpEnd[];
  readonly errors: (Error & { code?: string })[];
}

/** A stream over the accepted end of a connection; the peer is a plain end of the engine. */
async function streamed(world: TcpWorld, peerCredit = plenty): Promise<Streamed> {
  let accepted: Omit<Streamed, 'peer'> | undefined;
  const listener = await settled(
    world,
    world.server.listen({ local: { address: world.address, port: 0 } }, (socket) => {
      const { attach, handler } = bindTcpConnection();
      const connection = attach(socket);
      const ends: TcpEnd[] = [];
      connection.onClosed = (end) => ends.push(end);
      const stream = createSocketStream(connection);
      const errors: Error[] = [];
      stream.on('error', (error) => errors.push(error));
      accepted = { connection, stream, ends, errors };
      return handler;
    }),
  );
  const peer = new TcpPeer(peerCredit);
  const never = new AbortController().signal;
  peer.attach(await settled(world, world.client.connect({ remote: listener.localAddress }, peer, never)));
  await until(world, () => accepted !== undefined);
  listener.close();
  assert.ok(accepted);
  return { ...accepted, peer };
}

function collect(stream: SocketStream): { text: string; ended: boolean; closed: boolean } {
  const seen = { text: '', ended: false, closed: false };
  stream.on('data', (chunk: Buffer) => {
    seen.text += chunk.toString('latin1');
  });
  stream.on('end', () => {
    seen.ended = true;
  });
  stream.on('close', () => {
    seen.closed = true;
  });
  return seen;
}

for (const [name, makeWorld] of [
  ['simulated', simulatedWorld],
  ['native', () => nativeWorld()],
] as const) {
  const it = (title: string, body: (world: TcpWorld) => Promise<void>): void => {
    test(`${title} (${name})`, limit, async () => {
      const world = makeWorld();
      try {
        await body(world);
      } finally {
        await settled(world, world.close());
      }
    });
  };

  it('a stream carries bytes both ways and half closes', async (world) => {
    const { stream, peer, ends } = await streamed(world);
    const seen = collect(stream);
    peer.send('question');
    peer.socket.end();
    await until(world, () => seen.ended);
    assert.equal(seen.text, 'question');
    stream.cork();
    stream.write('an');
    stream.write('swer');
    stream.uncork();
    stream.end('!');
    await until(world, () => peer.over !== undefined && ends.length > 0 && seen.closed);
    assert.equal(peer.text(), 'answer!');
    assert.deepEqual(peer.events, ['data', 'end', 'ended']);
    assert.deepEqual(ends, [{ kind: 'ended' }]);
  });

  it('megabytes go through under backpressure in both directions', async (world) => {
    const { stream, peer } = await streamed(world);
    const size = 3_000_000;
    let received = 0;
    stream.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    const piece = Buffer.alloc(30_000, 5);
    let left = size;
    const fill = (): void => {
      while (left > 0) {
        left -= piece.length;
        if (!peer.socket.write(piece, 0, piece.length)) return;
      }
    };
    peer.drain = fill;
    fill();
    let written = 0;
    let waits = 0;
    while (written < size) {
      written += piece.length;
      if (!stream.write(piece)) {
        waits += 1;
        let drained = false;
        stream.once('drain', () => {
          drained = true;
        });
        await until(world, () => drained);
      }
    }
    await until(world, () => received === size && peer.received === size);
    assert.ok(waits > 0);
  });

  it('a reader that pauses stops the peer', async (world) => {
    const { stream, connection, peer } = await streamed(world);
    stream.pause();
    stream.read(0);
    const piece = Buffer.alloc(16 * 1024, 1);
    for (let count = 0; count < 40; count++) {
      peer.socket.write(piece, 0, piece.length);
      await world.settle();
    }
    assert.ok(connection.bytesReceived >= 32 * 1024 && connection.bytesReceived <= 64 * 1024);
    assert.equal(connection.credit, 0);
    const seen = collect(stream);
    stream.resume();
    await until(world, () => seen.text.length === 40 * piece.length);
  });

  it('a reset is an error with its code', async (world) => {
    const { stream, peer, errors, ends } = await streamed(world);
    collect(stream);
    peer.socket.reset();
    await until(world, () => errors.length > 0);
    assert.equal(errors[0]?.code, 'ECONNRESET');
    assert.equal(ends.length, 1);
    assert.ok(stream.destroyed);
  });

  it('destroying it in the middle is a reset, and resetAndDestroy is one too', async (world) => {
    for (const how of ['destroy', 'resetAndDestroy'] as const) {
      const { stream, peer, errors } = await streamed(world);
      stream[how]();
      await until(world, () => peer.over !== undefined);
      assert.deepEqual(peer.over, { kind: 'reset', by: 'peer', errno: 'ECONNRESET' });
      assert.deepEqual(errors, []);
    }
  });

  it('what is written after a loss is an error, and harms nobody', async (world) => {
    const { stream, peer, errors } = await streamed(world);
    collect(stream);
    peer.socket.reset();
    await until(world, () => stream.destroyed);
    const failed = await new Promise((resolve) => stream.write('late', resolve));
    assert.ok(failed instanceof Error);
    assert.equal(errors.length, 1);
  });

  it('detached while it flows, nothing is lost between it and the next holder', async (world) => {
    const { stream, connection, peer } = await streamed(world);
    let seen = '';
    const next = new TcpPeer(plenty);
    let unread: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      if (!seen.includes('head;')) return;
      unread = stream.detach();
      connection.hold(next.attach(connection.socket));
    });
    peer.send('head;');
    peer.send('tail-1;');
    await until(world, () => seen.includes('head;'));
    peer.send('tail-2');
    const all = (): string => seen + Buffer.concat(unread).toString() + next.text();
    await until(world, () => all().length === 'head;tail-1;tail-2'.length);
    assert.equal(all(), 'head;tail-1;tail-2');
    peer.socket.end();
    await until(world, () => next.events.includes('end'));
    assert.equal(next.truncated, false);
    connection.end();
    await until(world, () => next.over !== undefined && peer.over !== undefined);
    assert.deepEqual(next.over, { kind: 'ended' });
  });

  it('detached while paused, what was half read comes back, first byte first', async (world) => {
    const { stream, connection, peer, errors } = await streamed(world);
    stream.pause();
    stream.read(0);
    const bytes = Buffer.from(Array.from({ length: 10_000 }, (_, index) => (index * 7) & 0xff));
    peer.socket.write(bytes, 0, 4_000);
    await until(world, () => connection.bytesReceived === 4_000);
    peer.socket.write(bytes, 4_000, 10_000);
    await until(world, () => connection.bytesReceived === 10_000);
    const read = stream.read(1_500) as Buffer;
    assert.equal(read.length, 1_500);
    const next = new TcpPeer();
    const { credit } = connection;
    const unread = stream.detach();
    connection.hold(next.attach(connection.socket));
    assert.deepEqual(Buffer.concat([read, ...unread]), bytes);
    assert.deepEqual(stream.detach(), []);
    // What was granted is still there, for the next holder's bytes.
    assert.equal(connection.credit, credit);
    peer.send('more');
    await until(world, () => next.text() === 'more');
    assert.deepEqual(errors, []);
  });

  it('detached after the end, the end is known and told to nobody twice', async (world) => {
    const { stream, connection, peer } = await streamed(world);
    stream.pause();
    stream.read(0);
    peer.send('last words');
    peer.socket.end();
    await until(world, () => connection.peerEnd !== undefined);
    const next = new TcpPeer();
    const unread = stream.detach();
    connection.hold(next.attach(connection.socket));
    assert.equal(Buffer.concat(unread).toString(), 'last words');
    assert.equal(connection.peerEnd, 'clean');
    await world.settle();
    assert.deepEqual(next.events, []);
    connection.end();
    await until(world, () => next.over !== undefined);
    assert.deepEqual(next.events, ['ended']);
    assert.deepEqual(peer.over, { kind: 'ended' });
  });

  it('detached after a reset, nothing more is told', async (world) => {
    const { stream, connection, peer, errors } = await streamed(world);
    peer.send('lost');
    peer.socket.reset();
    await until(world, () => connection.over !== undefined);
    const next = new TcpPeer();
    stream.detach();
    connection.hold(next.attach(connection.socket));
    for (let count = 0; count < 5; count++) await world.settle();
    assert.deepEqual(next.events, []);
    assert.equal(errors.length, 1);
    connection.end();
    connection.grant(1);
    connection.hangUp();
  });

  it('detached while writes wait, they go out first and in order', async (world) => {
    const { stream, connection, peer } = await streamed(world, 0);
    let sent = '';
    for (let count = 0; count < 100; count++) {
      const text = `${count};`.padEnd(10_000, '.');
      sent += text;
      stream.write(text);
    }
    assert.ok(stream.writableLength > 0);
    stream.cork();
    stream.write('corked');
    const next = new TcpPeer();
    stream.detach();
    connection.hold(next.attach(connection.socket));
    assert.equal(stream.writableLength, 0);
    connection.socket.write(Buffer.from(' behind'), 0, 7);
    connection.end();
    peer.socket.grant(plenty * 4);
    peer.socket.end();
    await until(world, () => peer.over !== undefined);
    assert.equal(peer.text(), `${sent}corked behind`);
  });

  it('a detached stream never touches the socket again', async (world) => {
    const { stream, connection, peer, errors } = await streamed(world);
    collect(stream);
    const next = new TcpPeer(plenty);
    stream.detach();
    connection.hold(next.attach(connection.socket));
    stream.write('not this');
    stream.end('nor this');
    stream.destroy();
    stream.resetAndDestroy();
    stream.resume();
    await world.settle();
    connection.socket.write(Buffer.from('this'), 0, 4);
    peer.send('back');
    await until(world, () => peer.received > 0 && next.received > 0);
    assert.equal(peer.text(), 'this');
    assert.equal(next.text(), 'back');
    assert.equal(peer.over, undefined);
    assert.deepEqual(
      errors.map(({ code }) => code),
      [],
    );
  });

  it('a new stream goes on where another was detached', async (world) => {
    const { stream, connection, peer } = await streamed(world);
    for (let round = 0; round < 200; round++) {
      const current = round === 0 ? stream : createSocketStream(connection, [Buffer.from('first ')]);
      const seen = collect(current);
      peer.send(`round ${round}`);
      const expected = round === 0 ? 'round 0' : `first round ${round}`;
      await until(world, () => seen.text === expected);
      current.detach();
      assert.ok(connection.credit <= 64 * 1024);
    }
    const last = createSocketStream(connection);
    const seen = collect(last);
    peer.socket.end();
    await until(world, () => seen.ended);
    last.end();
    await until(world, () => peer.over?.kind === 'ended');
  });
}
