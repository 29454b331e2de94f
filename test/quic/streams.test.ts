import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { connectPair, delay, streamLog, until } from './pair.js';

const engine = createNativeEngine();
after(() => engine.close());
const limit = { timeout: 120_000 };

function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + (i >> 8)) & 0xff;
  return bytes;
}

describe('streams of the native engine', () => {
  test('both directions and both kinds, ended cleanly', limit, async () => {
    const { client, server } = await connectPair(engine, {
      server: { credit: 1e6 },
      client: { credit: 1e6 },
    });
    const log = streamLog();
    const stream = client.connection.openBidirectional(log);
    assert.equal(stream.id, -1);
    stream.grant(100);
    stream.write(Buffer.from('question'), 0, 8);
    stream.end();
    await until(() => server.streams.length === 1);
    const [peer] = server.streams;
    assert.ok(peer);
    await peer.log.until('end');
    assert.equal(peer.log.bytes().toString(), 'question');
    assert.equal(stream.id, 0);
    assert.deepEqual(log.events, ['opened 0']);
    peer.stream.write(Buffer.from('..answer..'), 2, 8);
    peer.stream.end();
    await log.until('end');
    assert.equal(log.bytes().toString(), 'answer');

    const oneWay = server.connection.openUnidirectional(streamLog());
    oneWay.write(Buffer.from('x'), 0, 1);
    oneWay.end();
    await client.log.until('stream 3');
    await client.streams[0]?.log.until('end');
    assert.equal(client.streams[0]?.stream.bidirectional, false);
    assert.equal(client.streams[0]?.log.bytes().toString(), 'x');
  });

  test('nothing is read without credit, and an end without bytes needs none', limit, async () => {
    const { client, server } = await connectPair(engine);
    const stream = client.connection.openBidirectional(streamLog());
    stream.write(pattern(1000), 0, 1000);
    stream.end();
    await until(() => server.streams.length === 1);
    await delay(30);
    const [peer] = server.streams;
    assert.ok(peer);
    assert.deepEqual(peer.log.events, []);
    peer.stream.grant(400);
    await until(() => peer.log.bytes().length === 400);
    await delay(20);
    assert.equal(peer.log.bytes().length, 400);
    assert.ok(!peer.log.events.join().includes('end'));
    peer.stream.grant(600);
    await peer.log.until('end');
    assert.deepEqual(peer.log.bytes(), pattern(1000));

    const bare = client.connection.openBidirectional(streamLog());
    bare.end();
    await until(() => server.streams.length === 2);
    await server.streams[1]?.log.until('end');
  });

  test(
    'the first credit of a listener lets bytes come with their stream, so many and no more',
    limit,
    async () => {
      const log = streamLog();
      const told: { credit: number; turns: number[] } = { credit: 0, turns: [] };
      let turn = 0;
      const { client, server } = await connectPair(engine, {
        listen: { firstCredit: 400 },
        server: {
          onStream(stream) {
            told.credit = stream.firstCredit;
            const began = turn;
            setImmediate(() => turn++);
            return {
              ...log,
              data(bytes, start, end) {
                told.turns.push(turn - began);
                log.data(bytes, start, end);
                if (log.bytes().length === 400) setTimeout(() => stream.grant(600), 50);
              },
            };
          },
        },
      });
      const stream = client.connection.openBidirectional(streamLog());
      assert.equal(stream.firstCredit, 0, 'a stream of this side has none');
      stream.write(pattern(1000), 0, 1000);
      stream.end();
      await until(() => log.bytes().length > 0);
      assert.equal(told.credit, 400);
      assert.equal(log.bytes().length, 400, 'no more than the first credit');
      assert.deepEqual(told.turns, [0], 'in the very turn that tells of the stream');
      await log.until('end');
      assert.deepEqual(log.bytes(), pattern(1000));

      // Of a stream that this side opens at the server, the client grants every byte.
      const back = server.connection.openUnidirectional(streamLog());
      back.write(pattern(10), 0, 10);
      await until(() => client.streams.length === 1);
      await delay(30);
      assert.deepEqual(client.streams[0]?.log.events, []);
    },
  );

  test('reset and stop carry their codes, and end one direction each', limit, async () => {
    const { client, server } = await connectPair(engine, { server: { credit: 1e6 } });
    const log = streamLog();
    const stream = client.connection.openBidirectional(log);
    stream.grant(1000);
    stream.write(Buffer.from('hello'), 0, 5);
    await until(() => server.streams[0]?.log.bytes().length === 5);
    const [peer] = server.streams;
    assert.ok(peer);
    stream.reset(0x10c);
    stream.reset(7);
    await peer.log.until(`reset ${0x10c}`);
    peer.stream.write(Buffer.from('still here'), 0, 10);
    await until(() => log.bytes().length === 10);
    stream.stop(0x10e);
    await peer.log.until(`stopped ${0x10e}`);
    assert.equal(peer.log.events.filter((event) => event.startsWith('reset')).length, 1);
    assert.equal(log.events.includes('lost'), false);
  });

  test('a writer that flow control blocks hears of STOP_SENDING', limit, async () => {
    const { client, server } = await connectPair(engine, {
      listen: { transport: { receiveWindow: 20_000, streamReceiveWindow: 20_000 } },
    });
    const log = streamLog();
    const stream = client.connection.openBidirectional(log);
    const bytes = pattern(300_000);
    assert.equal(stream.write(bytes, 0, bytes.length), false);
    await until(() => server.streams.length === 1);
    await delay(20);
    assert.ok(stream.buffered > 200_000);
    server.streams[0]?.stream.stop(99);
    await log.until('stopped 99');
    assert.equal(stream.buffered, 0);
  });

  test('backpressure: write returns false at the high-water mark and drain follows', limit, async () => {
    const { client, server } = await connectPair(engine, {
      listen: { transport: { streamReceiveWindow: 100_000 } },
      connect: { transport: { sendWindow: 100_000 } },
    });
    const log = streamLog();
    const stream = client.connection.openBidirectional(log);
    const bytes = pattern(3_000_000);
    let offset = 0;
    const fill = (): void => {
      while (offset < bytes.length) {
        const next = Math.min(bytes.length, offset + 50_000);
        const more = stream.write(bytes, offset, next);
        offset = next;
        if (!more) return;
      }
      stream.end();
    };
    log.drain = fill;
    fill();
    assert.ok(offset < 400_000, 'the queue is bounded');
    await until(() => server.streams.length === 1);
    server.streams[0]?.stream.grant(bytes.length);
    await server.streams[0]?.log.until('end');
    assert.ok(server.streams[0]?.log.bytes().equals(bytes));
  });

  test('streams beyond the peer limit wait with their writes and open in order', limit, async () => {
    const { client, server } = await connectPair(engine, {
      listen: { transport: { maxBidirectionalStreams: 2 } },
      server: { credit: 1000 },
    });
    const logs = Array.from({ length: 5 }, () => streamLog());
    const streams = logs.map((log, index) => {
      const stream = client.connection.openBidirectional(log);
      stream.write(Buffer.from([65 + index]), 0, 1);
      stream.end();
      return stream;
    });
    await until(() => server.streams.length === 2);
    await delay(20);
    assert.deepEqual(
      streams.map((stream) => stream.id),
      [0, 4, -1, -1, -1],
    );
    assert.ok((streams[4]?.buffered ?? 0) > 0);
    for (let index = 0; index < 5; index++) {
      await until(() => server.streams.length > index);
      const entry = server.streams[index];
      await entry?.log.until('end');
      assert.equal(entry?.log.bytes().toString(), String.fromCharCode(65 + index));
      entry?.stream.end();
      const stream = streams[index];
      stream?.grant(1);
    }
    await until(() => streams.every((stream) => stream.id >= 0));
  });

  test('a reset before the stream could open is sent when it opens', limit, async () => {
    const { client, server } = await connectPair(engine, {
      listen: { transport: { maxBidirectionalStreams: 1 } },
    });
    const first = client.connection.openBidirectional(streamLog());
    first.write(Buffer.from('a'), 0, 1);
    const second = client.connection.openBidirectional(streamLog());
    second.write(Buffer.from('b'), 0, 1);
    second.reset(5);
    second.stop(6);
    await until(() => server.streams.length === 1);
    first.reset(1);
    first.stop(1);
    server.streams[0]?.stream.reset(1);
    await until(() => server.streams.length === 2);
    await server.streams[1]?.log.until('reset 5');
    await server.streams[1]?.log.until('stopped 6');
  });

  test('every unfinished stream is told lost before the close, once', limit, async () => {
    const { client, server } = await connectPair(engine, { server: { credit: 100 } });
    const log = streamLog();
    client.connection.openBidirectional(log).write(Buffer.from('a'), 0, 1);
    await until(() => server.streams.length === 1);
    const order: string[] = [];
    const [peer] = server.streams;
    assert.ok(peer);
    peer.log.lost = () => order.push('lost');
    const closed = server.closed.then(() => order.push('closed'));
    client.connection.close(300, 'enough');
    await closed;
    assert.deepEqual(order, ['lost', 'closed']);
    assert.deepEqual(await server.closed, { kind: 'application', code: 300, reason: 'enough', byPeer: true });
    assert.deepEqual(await client.closed, {
      kind: 'application',
      code: 300,
      reason: 'enough',
      byPeer: false,
    });
    await log.until('lost');
    assert.equal(log.events.filter((event) => event === 'lost').length, 1);
    const late = streamLog();
    client.connection.openBidirectional(late).write(Buffer.from('a'), 0, 1);
    await late.until('lost');
  });

  test('2,000 streams one after another leave nothing behind', { timeout: 120_000 }, async () => {
    const { client, server } = await connectPair(engine, {
      listen: { transport: { maxBidirectionalStreams: 20 } },
      server: {
        onStream(stream) {
          stream.grant(100);
          return {
            ...streamLog(),
            data: (bytes, start, end) => void stream.write(bytes, start, end),
            end: () => stream.end(),
          };
        },
      },
    });
    let finished = 0;
    for (let index = 0; index < 2000; index++) {
      const log = streamLog();
      const end = log.end;
      log.end = () => {
        finished++;
        end();
      };
      const stream = client.connection.openBidirectional(log);
      stream.grant(100);
      stream.write(Buffer.from('ping'), 0, 4);
      stream.end();
      if (index % 50 === 0) await log.until('end');
    }
    await until(() => finished === 2000);
    await delay(50);
    // The last words on a stream wake nobody by themselves; an answer brings them along.
    await client.connection.statistics();
    await server.connection.statistics();
    assert.equal(held(client.connection), 0);
    assert.equal(held(server.connection), 0);
  });
});

/** Streams that the binding still knows of a connection. */
function held(connection: object): number {
  const { streamCount } = connection as { streamCount?: number };
  assert.equal(typeof streamCount, 'number');
  return streamCount ?? -1;
}
