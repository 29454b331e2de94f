import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { clientTls, connectPair, delay, empty, listening, never, side, streamLog, until } from './pair.js';

const engine = createNativeEngine();
after(() => engine.close());
const limit = { timeout: 120_000 };

describe('datagrams of the native engine', () => {
  test('1,200 bytes and their context fit into the first datagram of a connection', limit, async () => {
    const { listener, next } = await listening(engine);
    let atOnce = 0;
    let outcome = '';
    await engine.connect(
      { remote: listener.localAddress, tls: clientTls() },
      (connection) => {
        atOnce = connection.maxDatagramSize;
        outcome = connection.sendDatagram(Buffer.from([0, 0]), Buffer.alloc(1200, 7), 0, 1200);
        return side(connection).handler;
      },
      never,
    );
    assert.ok(atOnce >= 1202, `${atOnce}`);
    assert.equal(outcome, 'sent');
    const server = await next();
    await server.log.until('datagrams 1');
    assert.equal(server.datagrams[0]?.length, 1202);
  });

  test('head and body are joined, offsets kept, order kept, empty ones carried', limit, async () => {
    const { client, server } = await connectPair(engine);
    const body = Buffer.from('..0123456789..');
    assert.equal(client.connection.sendDatagram(Buffer.from('h'), body, 2, 12), 'sent');
    assert.equal(client.connection.sendDatagram(empty, empty, 0, 0), 'sent');
    for (let index = 0; index < 500; index++) {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(index);
      assert.equal(client.connection.sendDatagram(empty, bytes, 0, 4), 'sent');
    }
    await server.log.until('datagrams 502');
    assert.equal(server.datagrams[0]?.toString(), 'h0123456789');
    assert.equal(server.datagrams[1]?.length, 0);
    assert.deepEqual(
      server.datagrams.slice(2).map((bytes) => bytes.readUInt32BE()),
      Array.from({ length: 500 }, (_, index) => index),
    );
  });

  test('a datagram straight through, from the received view', limit, async () => {
    const { client } = await connectPair(engine, {
      server: {
        onDatagram: (bytes, start, end, connection) =>
          void connection.sendDatagram(Buffer.from('>'), bytes, start, end),
      },
    });
    client.connection.sendDatagram(empty, Buffer.from('echo'), 0, 4);
    await client.log.until('datagrams 1');
    assert.equal(client.datagrams[0]?.toString(), '>echo');
  });

  test('too large, full and switched off are told apart', limit, async () => {
    const { client } = await connectPair(engine, { connect: { transport: { datagramSendBuffer: 5000 } } });
    const size = client.connection.maxDatagramSize;
    const body = Buffer.alloc(2000);
    assert.equal(client.connection.sendDatagram(empty, body, 0, size + 1), 'too-large');
    assert.equal(client.connection.sendDatagram(empty, body, 0, size), 'sent');
    const outcomes = Array.from({ length: 10 }, () => client.connection.sendDatagram(empty, body, 0, 1000));
    assert.deepEqual(new Set(outcomes), new Set(['sent', 'dropped']));
    const dropped = outcomes.filter((outcome) => outcome === 'dropped').length;
    const statistics = await client.connection.statistics();
    assert.equal(statistics.datagramsDroppedSending, dropped);
    await until(() => client.connection.sendDatagram(empty, body, 0, 1000) === 'sent');

    const off = await connectPair(engine, { listen: { transport: { datagramReceiveBuffer: 0 } } });
    assert.equal(off.client.connection.maxDatagramSize, 0);
    assert.equal(off.client.connection.sendDatagram(empty, body, 0, 1), 'too-large');
  });

  test('the size grows with the path, and is told', limit, async () => {
    const { client } = await connectPair(engine, {
      connect: { transport: { mtuDiscoveryUpTo: 4000 } },
      listen: { transport: { mtuDiscoveryUpTo: 4000 } },
    });
    await until(() => client.connection.maxDatagramSize > 3500);
    assert.ok(client.log.events.includes(`max ${client.connection.maxDatagramSize}`));
    assert.ok((await client.connection.statistics()).pathMtu > 3500);
  });

  test('without discovery the size stays', limit, async () => {
    const { client } = await connectPair(engine, { connect: { transport: { mtuDiscoveryUpTo: 0 } } });
    await delay(50);
    assert.equal(client.connection.maxDatagramSize, 1312);
  });

  test('datagrams received before a stream ends are told before its end', limit, async () => {
    const order: string[] = [];
    const { client } = await connectPair(engine, {
      server: {
        onStream(stream) {
          order.push('stream');
          stream.grant(1e6);
          return { ...streamLog(), end: () => order.push('end') };
        },
        onDatagram: () => order.push('datagram'),
      },
    });
    const stream = client.connection.openBidirectional(streamLog());
    stream.write(Buffer.from('x'), 0, 1);
    await until(() => order.length === 1);
    for (let index = 0; index < 200; index++)
      client.connection.sendDatagram(empty, Buffer.alloc(900), 0, 900);
    await delay(0);
    await client.connection.statistics();
    await delay(20);
    stream.end();
    await until(() => order.includes('end'));
    await delay(20);
    assert.equal(order.at(0), 'stream');
    assert.equal(order.at(-1), 'end');
    assert.equal(order.length, 202);
  });

  test('a reader that stands still bounds what is kept, and drops are counted', limit, async () => {
    const { client, server } = await connectPair(engine, {
      listen: { transport: { datagramReceiveBuffer: 100_000 } },
    });
    const body = Buffer.alloc(1200);
    let sent = 0;
    // The event loop is not given back for a while: nothing is drained.
    for (let round = 0; round < 40; round++) {
      for (let index = 0; index < 100; index++) {
        if (client.connection.sendDatagram(empty, body, 0, 1200) === 'sent') sent++;
      }
      await Promise.resolve();
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
    await delay(100);
    const statistics = await server.connection.statistics();
    const own = await client.connection.statistics();
    assert.equal(
      server.datagrams.length + statistics.datagramsDroppedReceiving,
      statistics.datagramsReceived,
    );
    assert.ok(statistics.datagramsDroppedReceiving > 0);
    assert.ok(own.datagramsDroppedSending > 0);
    assert.ok(sent >= own.datagramsSent);
  });

  test('statistics add up', limit, async () => {
    const { client, server } = await connectPair(engine);
    for (let index = 0; index < 50; index++) client.connection.sendDatagram(empty, Buffer.alloc(100), 0, 100);
    await server.log.until('datagrams 50');
    const [ours, theirs] = [await client.connection.statistics(), await server.connection.statistics()];
    assert.equal(ours.datagramsSent, 50);
    assert.equal(theirs.datagramsReceived, 50);
    assert.ok(ours.rtt > 0 && ours.rtt < 1000);
    assert.ok(ours.congestionWindow > 0);
    assert.ok(ours.bytesSent > 5000 && theirs.bytesReceived >= 5000);
    client.connection.close(0, '');
    await client.closed;
    assert.equal((await client.connection.statistics()).datagramsSent, 50);
  });

  test('old datagrams make way: a queue that does not move empties itself', limit, async () => {
    const { client, server } = await connectPair(engine, {
      connect: { transport: { datagramMaxAge: 50, idleTimeout: 5000 } },
    });
    // More than the congestion window takes at once, so that most of it has to wait; none waits long.
    const body = Buffer.alloc(1200);
    for (let index = 0; index < 800; index++) client.connection.sendDatagram(empty, body, 0, 1200);
    await delay(300);
    const statistics = await client.connection.statistics();
    assert.equal(statistics.datagramsSent + statistics.datagramsDroppedSending, 800);
    assert.ok(server.datagrams.length > 0);
  });
});
