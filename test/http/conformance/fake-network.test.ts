import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/clock/system-clock.js';
import { createVirtualClock } from '../../../src/clock/virtual-clock.js';
import type { HttpServerConnection } from '../../../src/http/connection.js';
import { createFakePair, type FakePairOptions } from '../../../src/http/fake/pair.js';
import type { ServerStream } from '../../../src/http/tunnel-stream.js';
import { extendedHead, ok, pattern, plenty, writeAll } from './bench.js';
import { createRecorder, type Recorder } from './recorder.js';

const timeout = 10_000;

function fakeTunnels(options: Omit<FakePairOptions, 'accept' | 'clock'> = {}) {
  const clock = createVirtualClock();
  const served: { readonly stream: ServerStream; readonly seen: Recorder }[] = [];
  const connections: HttpServerConnection[] = [];
  const pair = createFakePair({
    ...options,
    clock,
    accept(connection) {
      connections.push(connection);
      return {
        request(stream) {
          const seen = createRecorder();
          served.push({ stream, seen });
          return seen;
        },
      };
    },
  });
  const open = async () => {
    const seen = createRecorder();
    const stream = pair.client.open(extendedHead, seen);
    await clock.advanceAsync(200);
    const server = served.at(-1);
    if (!server) throw new Error('no request');
    return { client: { stream, seen }, server };
  };
  return { clock, pair, connections, served, open };
}

test('the fake loses its connection by a cut and by a crash, each with its reason', { timeout }, async () => {
  for (const [broken, reason] of [
    ['cut', 'timeout'],
    ['crashServer', 'reset'],
  ] as const) {
    const { clock, pair, open } = fakeTunnels();
    const { client } = await open();
    pair[broken]();
    writeAll(client.stream, pattern(10));
    await clock.advanceAsync(60_000);
    assert.equal(client.seen.outcome?.kind === 'lost' && client.seen.outcome.reason, reason);
    assert.equal((await pair.client.closed).reason, reason);
  }
});

test('a cut that is restored in time only delays', { timeout }, async () => {
  const { clock, pair, open } = fakeTunnels();
  const { client, server } = await open();
  server.stream.grant(plenty);
  pair.cut();
  writeAll(client.stream, pattern(1000));
  await clock.advanceAsync(5_000);
  assert.equal(server.seen.received, 0);
  pair.restore();
  await clock.advanceAsync(100);
  assert.deepEqual(server.seen.content(), Buffer.from(pattern(1000)));
});

test('under loss, jitter and reordering the content stays whole, up to the close', { timeout }, async () => {
  const { clock, pair, open } = fakeTunnels({
    seed: 3,
    conditions: { latency: 20, jitter: 15, loss: 0.1, reorder: 0.2 },
  });
  const sent = pattern(200_000);
  const { client, server } = await open();
  await clock.advanceAsync(1000);
  server.stream.respond(ok);
  client.stream.grant(plenty);
  client.stream.end();
  pair.server.drain();
  for (let at = 0; at < sent.length; at += 1000) server.stream.write(sent, at, at + 1000);
  server.stream.end();
  await clock.advanceAsync(20_000);
  assert.deepEqual(client.seen.content(), Buffer.from(sent));
  assert.deepEqual(client.seen.outcome, { kind: 'ended' });
  assert.ok(['closed', 'peer-closed'].includes((await pair.client.closed).reason));
});

test('datagrams of the fake may be lost, reordered and early', { timeout }, async () => {
  const { clock, pair, served } = fakeTunnels({ seed: 5, conditions: { loss: 0.2, reorder: 0.3 } });
  const seen = createRecorder();
  const stream = pair.client.open(extendedHead, seen);
  for (let index = 0; index < 50; index++) stream.sendDatagram(new Uint8Array(0), Uint8Array.of(index), 0, 1);
  await clock.advanceAsync(1000);
  const numbers = served[0]?.seen.datagrams.map((datagram) => datagram[0] ?? -1) ?? [];
  assert.ok(numbers.length > 25 && numbers.length < 50, `${numbers.length} arrived`);
  assert.notDeepEqual(
    numbers,
    [...numbers].sort((a, b) => a - b),
  );
  assert.equal(new Set(numbers).size, numbers.length);
});

test('what the fake is told of the peer shows where it should', { timeout }, async () => {
  const { pair, connections, open } = fakeTunnels({
    version: 'h2',
    settings: { extendedConnect: false, maxStreams: 'unlimited' },
    serverName: 'proxy.test',
    clientCertificates: [Uint8Array.of(1, 2)],
    remote: { address: '2001:db8::1', port: 8443 },
    connectionId: 7,
  });
  assert.deepEqual(pair.client.settings, {
    extendedConnect: false,
    maxStreams: 'unlimited',
    datagrams: false,
  });
  assert.deepEqual(pair.client.remoteAddress, { address: '2001:db8::1', port: 8443 });
  assert.equal(connections[0], pair.server);
  assert.equal(pair.server.id, 8);
  assert.equal(pair.server.serverName, 'proxy.test');
  assert.deepEqual(pair.server.peerCertificates, [Uint8Array.of(1, 2)]);
  const { server } = await open();
  assert.throws(() => writeAll(server.stream, pattern(1)), /before the response/);
  server.stream.respond(ok);
  assert.throws(() => server.stream.respond(ok), /final response/);
});

test('the fake runs on the real clock too, and leaves nothing behind', { timeout }, async () => {
  let streams = 0;
  const pair = createFakePair({
    clock: systemClock,
    accept: () => ({
      request(stream) {
        streams += 1;
        stream.respond(ok);
        writeAll(stream, pattern(100));
        stream.end();
        return createRecorder();
      },
    }),
  });
  const seen = createRecorder();
  const stream = pair.client.open(extendedHead, seen);
  stream.grant(plenty);
  stream.end();
  assert.deepEqual(await stream.closed, { kind: 'ended' });
  assert.equal(seen.received, 100);
  assert.equal(streams, 1);
  await pair.client.close();
});
