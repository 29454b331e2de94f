import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { connectTo, listening, streamLog, until } from './pair.js';
import { far, join, near, wire } from './wire.js';

const engine = createNativeEngine();
after(() => engine.close());
const limit = { timeout: 120_000 };
const greeting = Buffer.from('welcome, ');

describe('what a server says with its part of the handshake', () => {
  test('it is there before the server has heard the end of the handshake', limit, async () => {
    const clientWire = wire(near, 1400);
    const serverWire = wire(far, 1400);
    join(clientWire, serverWire);
    const { listener, accepted, next } = await listening(engine, { path: serverWire, greeting });
    const { send } = clientWire;
    let heard = 0;
    clientWire.send = (bytes, start, end) => {
      heard += 1;
      if (heard === 1) send(bytes, start, end);
    };
    const client = await connectTo(engine, listener, { remote: far, path: clientWire }, { credit: 100 });
    await until(() => client.streams[0]?.log.bytes().toString() === 'welcome, ');
    assert.equal(accepted.length, 0);
    clientWire.send = send;
    const server = await next();
    assert.equal(server.connection.greeted, true);
    const stream = server.connection.openUnidirectional(streamLog());
    stream.write(Buffer.from('client'), 0, 6);
    stream.end();
    await client.streams[0]?.log.until('end');
    assert.equal(client.streams[0]?.log.bytes().toString(), 'welcome, client');
    assert.equal(client.streams.length, 1);
    await listener.close(0, '');
  });

  test('with a window smaller than it, the rest follows before anything else', limit, async () => {
    const { listener, next } = await listening(engine, { greeting });
    const transport = { streamReceiveWindow: 4 };
    const client = await connectTo(engine, listener, { transport }, { credit: 100 });
    const server = await next();
    const logs = [streamLog(), streamLog()];
    for (const log of logs) {
      const stream = server.connection.openUnidirectional(log);
      stream.write(Buffer.from('client'), 0, 6);
      stream.end();
    }
    await until(() => client.streams.length === 2);
    for (const { log } of client.streams) await log.until('end');
    assert.deepEqual(client.streams.map(({ log }) => log.bytes().toString()).sort(), [
      'client',
      'welcome, client',
    ]);
    await listener.close(0, '');
  });

  test('a client that allows no stream yet is not greeted', limit, async () => {
    const { listener, next } = await listening(engine, { greeting });
    const client = await connectTo(engine, listener, { transport: { maxUnidirectionalStreams: 0 } });
    const server = await next();
    assert.equal(server.connection.greeted, false);
    assert.equal(client.connection.greeted, false);
    await listener.close(0, '');
  });

  test('a client that wants none of it: the server hears of it', limit, async () => {
    const { listener, next } = await listening(engine, { greeting });
    await connectTo(
      engine,
      listener,
      {},
      {
        onStream(stream) {
          stream.stop(77);
          return streamLog();
        },
      },
    );
    const server = await next();
    const log = streamLog();
    const stream = server.connection.openUnidirectional(log);
    stream.write(Buffer.from('client'), 0, 6);
    await log.until('stopped 77');
    await listener.close(0, '');
  });
});
