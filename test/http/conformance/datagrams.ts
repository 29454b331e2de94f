import assert from 'node:assert/strict';
import { createDatagramStream, eventsOf } from '../../../src/http/create-datagram-stream.js';
import type { DatagramStreamBinding } from '../../../src/http/datagram-stream.js';
import type { ClientStreamHandler, StreamOutcome, TunnelStream } from '../../../src/http/tunnel-stream.js';
import { createCapsuleParser, encodeCapsule } from '../../../src/protocol/capsule.js';
import { type Bench, conformanceTests, extendedHead, ok, pattern, plenty, writeAll } from './bench.js';
import type { Implementation } from './pair.js';

const none = new Uint8Array(0);

interface DatagramSide {
  readonly binding: DatagramStreamBinding;
  readonly received: Buffer[];
  readonly capsules: [number, Buffer][];
  ended: boolean;
  outcome: StreamOutcome | undefined;
}

function datagramSide(): DatagramSide {
  const received: Buffer[] = [];
  const capsules: [number, Buffer][] = [];
  const binding = createDatagramStream({
    datagram: (bytes, start, end) => received.push(Buffer.from(bytes.subarray(start, end))),
    capsules: new Map([[0x3c, 1000]]),
    capsule: (type, value) => capsules.push([type, Buffer.from(value)]),
    end: () => {
      side.ended = true;
    },
    closed: (outcome) => {
      side.outcome = outcome;
    },
  });
  const side: DatagramSide = { binding, received, capsules, ended: false, outcome: undefined };
  return side;
}

interface DatagramTunnel {
  readonly client: DatagramSide & { readonly stream: TunnelStream };
  readonly server: DatagramSide & { readonly stream: TunnelStream };
}

/** A tunnel with a datagram stream on both ends; `before` runs between the request and its answer. */
async function datagramTunnel(
  bench: Bench,
  before: (client: DatagramSide) => void = () => undefined,
): Promise<DatagramTunnel> {
  const client = datagramSide();
  const server = datagramSide();
  let serverStream: TunnelStream | undefined;
  let answer: () => void = () => undefined;
  bench.onRequest = (stream) => {
    serverStream = stream;
    answer = () => stream.respond(ok);
    server.binding.attach(stream);
    server.binding.start();
    return server.binding.streamHandler;
  };
  let answered = false;
  const handler: ClientStreamHandler = {
    ...eventsOf(client.binding),
    response() {
      answered = true;
      client.binding.start();
    },
  };
  const stream = bench.client.open(extendedHead, handler);
  client.binding.attach(stream);
  before(client);
  await bench.until(() => serverStream !== undefined, 'the request');
  await bench.quiet();
  answer();
  await bench.until(() => answered, 'the response');
  bench.onRequest = undefined;
  if (!serverStream) throw new Error('no request');
  return {
    client: Object.assign(client, { stream }),
    server: Object.assign(server, { stream: serverStream }),
  };
}

/** HTTP datagrams, however they travel. */
export function datagramTests(implementation: Implementation): void {
  const { supports } = implementation;
  const it = conformanceTests(implementation);
  const notNative = !supports.nativeDatagrams && 'no QUIC datagrams';

  it('S26: datagrams of 0, 1, 1,200 and the most bytes arrive both ways, a larger one is dropped', async (bench) => {
    const { client, server } = await datagramTunnel(bench);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      const { datagrams } = from.binding;
      const most = datagrams.maxDatagramSize;
      assert.ok(most >= 1201, `1,200 bytes and a context id fit (${most})`);
      const sizes = [0, 1, 1200, 1201, most];
      for (const [index, size] of sizes.entries()) {
        const body = pattern(size + 2, index + 1);
        const head = body.subarray(1, Math.min(2, size + 1));
        assert.equal(datagrams.sendDatagram(head, body, 1 + head.length, size + 1), 'sent');
        await bench.until(() => to.received.length === index + 1, `the datagram of ${size}`);
        assert.deepEqual(to.received[index], Buffer.from(body.subarray(1, size + 1)));
      }
      assert.equal(datagrams.sendDatagram(none, new Uint8Array(most + 1), 0, most + 1), 'too-large');
      assert.equal(datagrams.statistics().droppedTooLarge, 1);
      assert.equal(datagrams.statistics().datagramsSent, sizes.length);
      assert.equal(to.binding.datagrams.statistics().datagramsReceived, sizes.length);
    }
    assert.equal(client.outcome, undefined, 'W1: the one that was too large ends nothing');
  });

  it('W10: datagrams sent before the response are not lost', async (bench) => {
    const { server } = await datagramTunnel(bench, (client) => {
      for (let index = 0; index < 10; index++) {
        assert.equal(
          client.binding.datagrams.sendDatagram(Uint8Array.of(0), Uint8Array.of(index), 0, 1),
          'sent',
        );
      }
    });
    await bench.until(() => server.received.length === 10, 'all ten');
    assert.deepEqual(
      server.received.map((datagram) => datagram[1]),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    );
  });

  it('datagrams and capsules keep to their own order, and the end follows', async (bench) => {
    const { client, server } = await datagramTunnel(bench);
    for (let index = 0; index < 100; index++) {
      client.binding.datagrams.sendDatagram(none, Uint8Array.of(index), 0, 1);
      if (index % 10 === 0) client.binding.datagrams.sendCapsule(0x3c, Uint8Array.of(index, 7));
    }
    await bench.until(() => server.received.length === 100 && server.capsules.length === 10, 'all of them');
    client.binding.datagrams.end();
    await bench.until(() => server.ended, 'the end');
    assert.deepEqual(
      server.received.map((datagram) => datagram[0]),
      Array.from({ length: 100 }, (_, index) => index),
    );
    assert.deepEqual(
      server.capsules.map(([, value]) => value[0]),
      [0, 10, 20, 30, 40, 50, 60, 70, 80, 90],
    );
    server.binding.datagrams.end();
    await bench.until(() => !!client.outcome && !!server.outcome, 'the outcomes');
    assert.deepEqual([client.outcome, server.outcome], [{ kind: 'ended' }, { kind: 'ended' }]);
  });

  it('W9: DATAGRAM capsules are taken everywhere', async (bench) => {
    const { client, server } = await datagramTunnel(bench);
    writeAll(client.stream, encodeCapsule(0, Uint8Array.of(0, 1, 2)));
    writeAll(server.stream, encodeCapsule(0, Uint8Array.of(0, 3)));
    await bench.until(() => client.received.length + server.received.length === 2, 'both');
    assert.deepEqual(server.received, [Buffer.of(0, 1, 2)]);
    assert.deepEqual(client.received, [Buffer.of(0, 3)]);
  });

  it('W10: an unknown capsule of 200 kB passes without stalling', async (bench) => {
    const { client, server } = await datagramTunnel(bench);
    for (let round = 0; round < 5; round++) {
      client.binding.datagrams.sendCapsule(0x5a5a, pattern(200_000));
    }
    client.binding.datagrams.sendCapsule(0x3c, Uint8Array.of(1));
    await bench.until(() => server.capsules.length === 1, 'what follows it');
    assert.equal(server.binding.datagrams.statistics().capsulesSkipped, 5);
    assert.equal(server.outcome, undefined);
  });

  it('S6: an end in the middle of a capsule is a malformed message', async (bench) => {
    const { client, server } = await datagramTunnel(bench);
    writeAll(client.stream, encodeCapsule(0x3c, pattern(100)).subarray(0, 50));
    client.stream.end();
    await bench.until(() => !!client.outcome && !!server.outcome, 'the outcomes');
    assert.equal(server.outcome?.kind, 'reset');
    assert.equal(client.outcome?.kind, 'reset');
    if (server.outcome?.kind === 'reset')
      assert.deepEqual([server.outcome.by, server.outcome.reason], ['local', 'message-error']);
    if (client.outcome?.kind === 'reset' && supports.resetCodes) {
      assert.deepEqual([client.outcome.by, client.outcome.reason], ['peer', 'message-error']);
    }
    assert.ok(!server.ended);
  });

  it(
    'a reader that stalls makes DATAGRAM capsules drop, counted, and those sent all arrive',
    async (bench) => {
      const client = datagramSide();
      const stream = bench.client.open(extendedHead, {
        ...eventsOf(client.binding),
        response: () => client.binding.start(),
      });
      client.binding.attach(stream);
      const server = await bench.nextRequest();
      server.stream.respond(ok);
      await bench.quiet();
      const { datagrams } = client.binding;
      const body = pattern(1200);
      let sent = 0;
      let dropped = 0;
      for (let round = 0; round < 400 && dropped < 10; round++) {
        for (let index = 0; index < 200; index++) {
          const outcome = datagrams.sendDatagram(none, body, 0, body.length);
          if (outcome === 'sent') sent += 1;
          else dropped += 1;
        }
        assert.ok(stream.buffered <= 256 * 1024 + 2000, `what waits is bounded (${stream.buffered})`);
        await bench.quiet();
      }
      assert.ok(dropped >= 10);
      assert.equal(datagrams.statistics().droppedCapsuleQueueFull, dropped);
      assert.equal(datagrams.statistics().datagramsSent, sent);
      let arrived = 0;
      const parser = createCapsuleParser(
        {},
        {
          datagram: (_bytes, start, end) => {
            assert.equal(end - start, body.length);
            arrived += 1;
          },
        },
      );
      server.seen.onData = (size, piece) => parser.push(piece, 0, size);
      server.stream.grant(plenty);
      await bench.until(() => arrived === sent, 'every datagram that was taken');
      assert.ok(parser.atBoundary);
    },
    { skip: supports.nativeDatagrams && 'datagrams do not travel as capsules' },
  );

  it(
    'S2: native datagrams up to their size, and none once the sending side is closed',
    async (bench) => {
      const { client, server } = await bench.tunnel();
      assert.ok(client.stream.nativeDatagrams && server.stream.nativeDatagrams);
      const most = client.stream.maxDatagramSize;
      const body = pattern(most + 1);
      assert.equal(client.stream.sendDatagram(none, body, 0, most), 'sent');
      assert.equal(client.stream.sendDatagram(none, body, 0, most + 1), 'too-large');
      await bench.until(() => server.seen.datagrams.length === 1, 'the largest');
      assert.equal(server.seen.datagrams[0]?.length, most);
      client.stream.end();
      assert.equal(client.stream.sendDatagram(none, body, 0, 1), 'dropped');
      assert.equal(server.stream.sendDatagram(none, body, 0, 2), 'sent');
      await bench.until(() => client.seen.datagrams.length === 1, 'the other direction goes on');
      await bench.quiet();
      assert.equal(server.seen.datagrams.length, 1);
    },
    { skip: notNative },
  );

  it(
    'native datagrams keep to their streams, without credit and beside stalled content',
    async (bench) => {
      const tunnels: Awaited<ReturnType<Bench['tunnel']>>[] = [];
      for (let index = 0; index < 10; index++) tunnels.push(await bench.tunnel(0));
      for (const [index, { client }] of tunnels.entries()) {
        writeAll(client.stream, pattern(60_000));
        for (let count = 0; count < 5; count++)
          client.stream.sendDatagram(none, Uint8Array.of(index, count), 0, 2);
      }
      await bench.until(
        () => tunnels.every(({ server }) => server.seen.datagrams.length === 5),
        'all of them',
      );
      for (const [index, { server }] of tunnels.entries()) {
        assert.deepEqual(
          server.seen.datagrams.map((datagram) => [...datagram]),
          [0, 1, 2, 3, 4].map((count) => [index, count]),
        );
        assert.equal(server.seen.received, 0);
      }
    },
    { skip: notNative },
  );

  it(
    'a flood of native datagrams is bounded and counted, and stops neither content nor later datagrams',
    async (bench) => {
      const { client, server } = await datagramTunnel(bench);
      const { datagrams } = client.binding;
      const body = pattern(1000);
      const total = 20_000;
      const count = { sent: 0, dropped: 0, 'too-large': 0 };
      for (let index = 0; index < total; index++) count[datagrams.sendDatagram(none, body, 0, 1000)] += 1;
      datagrams.sendCapsule(0x3c, Uint8Array.of(1));
      await bench.until(() => server.capsules.length === 1, 'content beside the flood');
      const { datagramsSent, droppedQueueFull, droppedTooLarge } = datagrams.statistics();
      assert.deepEqual([datagramsSent, droppedQueueFull, droppedTooLarge], [count.sent, count.dropped, 0]);
      assert.equal(count.sent + count.dropped, total);
      await bench.quiet();
      const last = Uint8Array.of(7);
      let tries = 0;
      await bench.until(() => {
        tries += 1;
        if (tries % 5 === 1) datagrams.sendDatagram(none, last, 0, 1);
        return server.received.some((datagram) => datagram.length === 1);
      }, 'a datagram after the flood');
      assert.ok(server.received.length > 0 && server.received.length <= datagrams.statistics().datagramsSent);
      assert.equal(client.outcome, undefined);
    },
    { skip: notNative },
  );

  it(
    'a smaller path is told to every stream, and what fits it still arrives',
    async (bench) => {
      const { client, server } = await bench.tunnel();
      const before = client.stream.maxDatagramSize;
      bench.pair.shrinkMtu?.();
      await bench.until(() => client.seen.sizes.length > 0 && server.seen.sizes.length > 0, 'both are told');
      for (const { stream, seen } of [client, server]) {
        assert.ok(stream.maxDatagramSize < before);
        assert.equal(seen.sizes.at(-1), stream.maxDatagramSize);
      }
      const most = client.stream.maxDatagramSize;
      const body = pattern(before);
      assert.equal(client.stream.sendDatagram(none, body, 0, before), 'too-large');
      assert.equal(client.stream.sendDatagram(none, body, 0, most), 'sent');
      await bench.until(() => server.seen.datagrams.length === 1, 'the largest that fits');
      assert.deepEqual(server.seen.datagrams[0], Buffer.from(body.subarray(0, most)));
    },
    { skip: notNative || (!supports.mtuChange && 'its path cannot be changed') },
  );

  it('where there are no native datagrams the stream says so', async (bench) => {
    const { client, server } = await bench.tunnel();
    for (const { stream } of [client, server]) {
      assert.equal(stream.nativeDatagrams, supports.nativeDatagrams);
      assert.equal(stream.maxDatagramSize > 0, supports.nativeDatagrams);
    }
  });
}
