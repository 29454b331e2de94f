import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { connectPair, connectTo, delay, empty, listening, streamLog, until } from './pair.js';
import { far, join, near, wire } from './wire.js';

const engine = createNativeEngine();
after(() => engine.close());
const limit = { timeout: 120_000 };

describe('QUIC on a path that JavaScript carries', () => {
  test('QUIC inside the datagrams of QUIC, both ways, within the outer size', limit, async () => {
    const clientWire = wire(near, 1300);
    const serverWire = wire(far, 1300);
    const outer = await connectPair(engine, {
      server: { onDatagram: (bytes, start, end) => serverWire.deliver(bytes, start, end, near) },
      client: { onDatagram: (bytes, start, end) => clientWire.deliver(bytes, start, end, far) },
    });
    clientWire.send = (bytes, start, end) =>
      void outer.client.connection.sendDatagram(empty, bytes, start, end);
    serverWire.send = (bytes, start, end) =>
      void outer.server.connection.sendDatagram(empty, bytes, start, end);

    const { listener, next } = await listening(engine, { path: serverWire }, { credit: 1e7 });
    assert.deepEqual(listener.localAddress, far);
    const client = await connectTo(engine, listener, { remote: far, path: clientWire });
    const server = await next();
    assert.deepEqual(server.connection.remoteAddress, near);
    assert.deepEqual(client.connection.remoteAddress, far);

    const bytes = Buffer.alloc(500_000, 'abc');
    const stream = client.connection.openBidirectional(streamLog());
    stream.write(bytes, 0, bytes.length);
    stream.end();
    await until(() => server.streams.length === 1);
    await server.streams[0]?.log.until('end');
    assert.ok(server.streams[0]?.log.bytes().equals(bytes));
    server.connection.sendDatagram(empty, Buffer.from('inner'), 0, 5);
    await client.log.until('datagrams 1');
    assert.ok(clientWire.largest > 1200 && clientWire.largest <= 1300, `${clientWire.largest}`);

    client.connection.close(9, 'done');
    assert.deepEqual(await server.closed, { kind: 'application', code: 9, reason: 'done', byPeer: true });
    await clientWire.log.until('closed');
    await listener.close(0, '');
    await serverWire.log.until('closed');
    assert.ok(!outer.client.log.events.includes('closed'));
  });

  test('a peer that has lost its state answers with a stateless reset', limit, async () => {
    const clientWire = wire(near, 1400);
    const serverWire = wire(far, 1400);
    join(clientWire, serverWire);
    const { listener, next } = await listening(engine, { path: serverWire });
    const client = await connectTo(engine, listener, { remote: far, path: clientWire });
    const server = await next();
    await delay(100);
    serverWire.send = () => undefined;
    server.connection.close(1, 'unheard');
    await delay(500);
    serverWire.send = (bytes, start, end) => clientWire.deliver(bytes, start, end, far);
    client.connection.sendDatagram(empty, Buffer.alloc(500), 0, 500);
    assert.deepEqual(await client.closed, { kind: 'stateless-reset' });
    await listener.close(0, '');
  });

  test('of two streams on a slow path the one with the higher priority ends first', limit, async () => {
    const clientWire = wire(near, 1400);
    const serverWire = wire(far, 1400);
    const onTheWay: Buffer[] = [];
    clientWire.send = (bytes, start, end) => onTheWay.push(Buffer.from(bytes.subarray(start, end)));
    serverWire.send = (bytes, start, end) => clientWire.deliver(bytes, start, end, far);
    let open = true;
    const carrying = (async () => {
      while (open) {
        const packet = onTheWay.shift();
        if (packet) serverWire.deliver(packet, 0, packet.length, near);
        await delay(1);
      }
    })();
    const { listener, next } = await listening(engine, { path: serverWire }, { credit: 1e6 });
    const client = await connectTo(engine, listener, { remote: far, path: clientWire });
    const server = await next();
    // Both fit into one submission, so that neither has a start.
    const bytes = Buffer.alloc(90_000);
    const low = client.connection.openUnidirectional(streamLog());
    const urgent = client.connection.openUnidirectional(streamLog());
    low.setPriority(-1);
    urgent.setPriority(10);
    for (const stream of [low, urgent]) {
      stream.write(bytes, 0, bytes.length);
      stream.end();
    }
    await until(() => server.streams.length === 2);
    const ends: number[] = [];
    await Promise.all(
      server.streams.map(async ({ stream, log }) => {
        await log.until('end');
        ends.push(stream.id);
      }),
    );
    assert.deepEqual(ends, [urgent.id, low.id]);
    open = false;
    await carrying;
    await listener.close(0, '');
  });

  test(
    'a path that takes more than at the start is found out, and no more is received than was',
    limit,
    async () => {
      const clientWire = wire(near, 1300);
      const serverWire = wire(far, 1440);
      join(clientWire, serverWire);
      const { listener, next } = await listening(engine, { path: serverWire }, { credit: 1e7 });
      const client = await connectTo(engine, listener, {
        remote: far,
        path: clientWire,
        transport: { mtuDiscoveryUpTo: 1440 },
      });
      const server = await next();
      const first = client.connection.maxDatagramSize;
      assert.ok(first > 1250 && first < 1300, `${first}: from the first packet on what the path takes`);
      await client.log.until(`max ${first + 140}`);
      assert.equal(clientWire.largest, 1440);
      const bytes = Buffer.alloc(200_000);
      const stream = server.connection.openUnidirectional(streamLog());
      stream.write(bytes, 0, bytes.length);
      stream.end();
      await until(() => client.streams.length === 1);
      client.streams[0]?.stream.grant(bytes.length);
      await client.streams[0]?.log.until('end');
      assert.equal(serverWire.largest, 1300);
      await listener.close(0, '');
    },
  );

  test(
    'a path that takes less than before: large packets are given up, the bytes arrive',
    limit,
    async () => {
      const clientWire = wire(near, 1400);
      const serverWire = wire(far, 1400);
      let carried = 1400;
      join(clientWire, serverWire, () => carried);
      const { listener, next } = await listening(engine, { path: serverWire }, { credit: 1e7 });
      const client = await connectTo(engine, listener, { remote: far, path: clientWire });
      const server = await next();
      await until(() => client.connection.maxDatagramSize > 1350);
      carried = 1250;
      const bytes = Buffer.alloc(200_000, 'x');
      const stream = client.connection.openUnidirectional(streamLog());
      stream.write(bytes, 0, bytes.length);
      stream.end();
      await until(() => server.streams.length === 1);
      await server.streams[0]?.log.until('end');
      const { pathMtu } = await client.connection.statistics();
      assert.ok(pathMtu <= 1250, `${pathMtu}`);
      assert.ok(client.connection.maxDatagramSize < 1250);
      await listener.close(0, '');
    },
  );

  test('packets that became small for a disturbance are large again soon', limit, async () => {
    const clientWire = wire(near, 1400);
    const serverWire = wire(far, 1400);
    let carried = 1400;
    join(clientWire, serverWire, () => carried);
    const { listener } = await listening(engine, { path: serverWire }, { credit: 1e7 });
    const client = await connectTo(engine, listener, { remote: far, path: clientWire });
    await until(() => client.connection.maxDatagramSize > 1350);
    carried = 1250;
    const stream = client.connection.openUnidirectional(streamLog());
    stream.write(Buffer.alloc(200_000), 0, 200_000);
    await until(() => client.connection.maxDatagramSize < 1250);
    carried = 1400;
    const since = performance.now();
    // Something to send, so that the search goes on.
    while (client.connection.maxDatagramSize < 1350 && performance.now() - since < 30_000) {
      client.connection.sendDatagram(empty, Buffer.alloc(10), 0, 10);
      await delay(20);
    }
    assert.ok(client.connection.maxDatagramSize > 1350, `${client.connection.maxDatagramSize}`);
    await listener.close(0, '');
  });

  test('a path too small for QUIC is refused', limit, async () => {
    await assert.rejects(listening(engine, { path: wire(near, 1199) }), /1200/);
  });

  test('when the path loses everything, old datagrams make way and the connection ends', limit, async () => {
    const clientWire = wire(near, 1400);
    const serverWire = wire(far, 1400);
    join(clientWire, serverWire);
    const { listener } = await listening(engine, { path: serverWire });
    const client = await connectTo(engine, listener, {
      remote: far,
      path: clientWire,
      transport: { idleTimeout: 1000, datagramMaxAge: 50 },
    });
    clientWire.send = () => undefined;
    const body = Buffer.alloc(1000);
    for (let index = 0; index < 500; index++) {
      assert.equal(client.connection.sendDatagram(empty, body, 0, 1000), 'sent');
    }
    await delay(200);
    const { datagramsSent, datagramsDroppedSending } = await client.connection.statistics();
    assert.ok(datagramsDroppedSending > 350, `${datagramsSent} sent, ${datagramsDroppedSending} dropped`);
    assert.deepEqual(await client.closed, { kind: 'idle' });
    await listener.close(0, '');
  });
});
