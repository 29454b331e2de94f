import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { connectTo, delay, listening, streamLog, until } from './pair.js';

const engine = createNativeEngine();
after(() => engine.close());

test('how many streams the peer allows is known at the start, counted down, and up with MAX_STREAMS', {
  timeout: 120_000,
}, async () => {
  const { listener, next } = await listening(
    engine,
    { transport: { maxBidirectionalStreams: 300 } },
    {
      onStream(stream) {
        stream.grant(10);
        stream.end();
        return streamLog();
      },
    },
  );
  const client = await connectTo(engine, listener);
  const server = await next();
  const { connection } = client;
  assert.equal(connection.bidirectionalStreamsLeft, 300);
  // What the other side may open is another matter.
  assert.equal(server.connection.bidirectionalStreamsLeft, 1024);
  const logs = Array.from({ length: 310 }, () => {
    const log = streamLog();
    const stream = connection.openBidirectional(log);
    stream.grant(10);
    stream.end();
    return { log, stream };
  });
  assert.equal(connection.bidirectionalStreamsLeft, -10);
  for (const { log } of logs) await log.until('end');
  assert.deepEqual(
    logs.map(({ stream }) => stream.id),
    logs.map((_, index) => index * 4),
  );
  // Of later leave at least so much is known as the next burst is likely to need.
  await until(() => (connection.bidirectionalStreamsLeft ?? 0) >= 128);
  const left = connection.bidirectionalStreamsLeft ?? 0;
  assert.ok(left <= 300, `${left}`);
  const more = Array.from({ length: left }, () => {
    const log = streamLog();
    connection.openBidirectional(log).end();
    return log;
  });
  for (const log of more) await until(() => log.events.some((event) => event.startsWith('opened')));
  await listener.close(0, '');
});

test('a client may open 440 streams, and all that the listener allows once it has used half of them', {
  timeout: 120_000,
}, async () => {
  const { listener, next } = await listening(engine, {}, { onStream: () => streamLog() });
  const client = await connectTo(engine, listener);
  await next();
  const { connection } = client;
  const open = (count: number): ReturnType<typeof streamLog>[] =>
    Array.from({ length: count }, () => {
      const log = streamLog();
      const stream = connection.openBidirectional(log);
      stream.write(Buffer.from('x'), 0, 1);
      return log;
    });
  assert.equal(connection.bidirectionalStreamsLeft, 440);
  open(220);
  await delay(100);
  assert.equal(connection.bidirectionalStreamsLeft, 220);
  open(1);
  // Of what is allowed later at least so much is known as the next burst is likely to need.
  const rest = open(1024 - 221);
  for (const log of rest) await until(() => log.events.some((event) => event.startsWith('opened')));
  const [waits] = open(1);
  await delay(100);
  assert.deepEqual(waits?.events, []);
  assert.equal(connection.bidirectionalStreamsLeft, -1);
  await listener.close(0, '');
});

test('a burst of more than that waits a round trip for the rest', { timeout: 120_000 }, async () => {
  const { listener, next } = await listening(engine, {}, { onStream: () => streamLog() });
  const client = await connectTo(engine, listener);
  await next();
  const logs = Array.from({ length: 1000 }, () => {
    const log = streamLog();
    const stream = client.connection.openBidirectional(log);
    stream.write(Buffer.from('x'), 0, 1);
    return log;
  });
  for (const log of logs) await until(() => log.events.some((event) => event.startsWith('opened')));
  await listener.close(0, '');
});
