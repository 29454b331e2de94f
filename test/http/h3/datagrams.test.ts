import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, connectUdp, control, get, headers, rawClient, rawServer } from './raw-peer.js';
import { bytes, classic, extended, recorder, recordingClientHandler } from './recorded-streams.js';
import { createNetwork, dial, serve } from './simulated-http.js';

const options = { timeout: 120_000 };
const none = new Uint8Array(0);
const forStream = (quarter: number, text: string): Buffer =>
  Buffer.concat([Uint8Array.of(quarter), bytes(text)]);

test('S2: datagrams before their stream are kept and told in order behind its request', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const peer = await rawClient(net);
  peer.openUnidirectional(control());
  for (const text of ['one', 'two', 'three']) peer.datagram(forStream(0, text));
  await net.clock.advanceAsync(50);
  const stream = peer.open(connectUdp().subarray(0, 10));
  await net.clock.advanceAsync(50);
  peer.datagram(forStream(0, 'before the head'));
  await net.clock.advanceAsync(50);
  assert.equal(server.requests.length, 0);
  const rest = connectUdp().subarray(10);
  stream.quic.write(rest, 0, rest.length);
  await net.clock.advanceAsync(50);
  peer.datagram(forStream(0, 'four'));
  await net.clock.advanceAsync(50);
  assert.deepEqual(server.requests[0]?.datagrams, ['one', 'two', 'three', 'before the head', 'four']);
});

test('S2: a datagram waits about one round trip for its stream, and no longer', options, async () => {
  for (const [latency, wait, kept] of [
    [5, 60, true],
    [5, 150, false],
    [200, 300, true],
    [200, 500, false],
  ] as const) {
    const net = createNetwork({ latency });
    const server = await serve(net);
    const connecting = rawClient(net);
    await net.clock.advanceAsync(1000);
    const peer = await connecting;
    peer.datagram(forStream(0, 'early'));
    await net.clock.advanceAsync(wait);
    peer.open(connectUdp());
    await net.clock.advanceAsync(1000);
    assert.deepEqual(server.requests[0]?.datagrams, kept ? ['early'] : [], `${latency} ms, ${wait} ms`);
  }
});

test('S2: early datagrams are bounded in count and bytes, the oldest go', options, async () => {
  const net = createNetwork();
  const server = await serve(net, { earlyDatagramCount: 3, earlyDatagramBytes: 1000 });
  const peer = await rawClient(net);
  for (const text of ['a', 'b', 'c', 'd']) peer.datagram(forStream(0, text));
  peer.datagram(forStream(0, 'e'.repeat(1001)));
  await net.clock.advanceAsync(20);
  peer.open(connectUdp());
  await net.clock.advanceAsync(50);
  assert.deepEqual(server.requests[0]?.datagrams, ['b', 'c', 'd']);
  peer.datagram(forStream(1, 'x'.repeat(600)));
  peer.datagram(forStream(1, 'y'.repeat(600)));
  peer.open(connectUdp());
  await net.clock.advanceAsync(50);
  assert.deepEqual(server.requests[1]?.datagrams, ['y'.repeat(600)]);
});

test(
  'S2: datagrams of a stream that has ended, or of no stream at all, are dropped silently',
  options,
  async () => {
    const net = createNetwork();
    const server = await serve(net);
    const peer = await rawClient(net);
    peer.openUnidirectional(control());
    const stream = peer.open(connectUdp());
    await net.clock.advanceAsync(50);
    const [served] = server.requests;
    served?.stream.respond({ status: 200, fields: [] });
    stream.quic.end();
    await net.clock.advanceAsync(50);
    peer.datagram(forStream(0, 'after the end'));
    await net.clock.advanceAsync(50);
    served?.stream.end();
    await net.clock.advanceAsync(50);
    peer.datagram(forStream(0, 'after the outcome'));
    peer.datagram(forStream(9, 'never'));
    await net.clock.advanceAsync(500);
    assert.deepEqual(served?.log, ['end', 'closed ended']);
    assert.equal(peer.close, undefined);
    assert.deepEqual(stream.events, ['end']);
  },
);

test('S2: nothing is sent once the send side is closed', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const peer = await rawClient(net);
  peer.openUnidirectional(control());
  const ended = peer.open(connectUdp());
  const stopped = peer.open(connectUdp());
  await net.clock.advanceAsync(50);
  for (const { stream } of server.requests) stream.respond({ status: 200, fields: [] });
  server.requests[0]?.stream.end();
  stopped.quic.stop(0x100);
  await net.clock.advanceAsync(50);
  for (const { stream } of server.requests) {
    assert.equal(stream.sendDatagram(none, bytes('late'), 0, 4), 'dropped');
  }
  await net.clock.advanceAsync(50);
  assert.deepEqual(peer.datagrams, []);
  assert.deepEqual(ended.events, ['end']);
});

test('S3: a datagram on a request without datagrams aborts its stream', options, async () => {
  for (const head of [get(), connect()]) {
    const net = createNetwork();
    const server = await serve(net);
    const peer = await rawClient(net);
    peer.openUnidirectional(control());
    const stream = peer.open(head);
    await net.clock.advanceAsync(50);
    peer.datagram(forStream(0, 'x'));
    await net.clock.advanceAsync(50);
    assert.deepEqual(stream.events.sort(), ['reset 33', 'stopped 33']);
    assert.deepEqual(server.requests[0]?.outcome, {
      kind: 'reset',
      by: 'local',
      reason: 'datagram-error',
      code: 0x33,
      version: 'h3',
    });
    assert.equal(peer.close, undefined);
  }
});

test('S3: a datagram that came before such a request aborts its stream too', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const peer = await rawClient(net);
  peer.datagram(forStream(0, 'x'));
  peer.datagram(forStream(0, 'y'));
  const stream = peer.open(get());
  await net.clock.advanceAsync(50);
  assert.deepEqual(stream.events.sort(), ['reset 33', 'stopped 33']);
  assert.deepEqual(server.requests[0]?.log, ['closed reset']);
});

test('S4: a server sends no QUIC DATAGRAM before the client has agreed', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const peer = await rawClient(net);
  peer.open(connectUdp());
  await net.clock.advanceAsync(50);
  const [served] = server.requests;
  assert.ok(served);
  served.stream.respond({ status: 200, fields: [] });
  assert.equal(served.stream.nativeDatagrams, false);
  assert.equal(served.stream.maxDatagramSize, 0);
  assert.equal(served.stream.sendDatagram(none, bytes('x'), 0, 1), 'dropped');
  peer.openUnidirectional(control());
  await net.clock.advanceAsync(50);
  assert.equal(served.stream.nativeDatagrams, true);
  const { maxDatagramSize } = served.stream;
  assert.deepEqual(served.log, [`maxDatagramSize ${maxDatagramSize}`]);
  assert.equal(served.stream.sendDatagram(none, new Uint8Array(maxDatagramSize), 0, maxDatagramSize), 'sent');
  assert.equal(served.stream.sendDatagram(none, new Uint8Array(3000), 0, maxDatagramSize + 1), 'too-large');
  await net.clock.advanceAsync(50);
  assert.equal(peer.datagrams.length, 1);
  assert.equal(peer.datagrams[0]?.length, maxDatagramSize + 1);
});

test('S4: no QUIC DATAGRAM to a peer whose transport takes none', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const peer = await rawClient(net, { datagramReceiveBuffer: 0 });
  peer.openUnidirectional(control());
  peer.open(connectUdp());
  await net.clock.advanceAsync(50);
  assert.equal(server.requests[0]?.stream.nativeDatagrams, false);
});

test('W10: datagrams sent before the response arrive, in both directions', options, async () => {
  const net = createNetwork();
  const accepted = rawServer(net);
  const dialling = dial(net);
  const peer = await await accepted;
  peer.openUnidirectional(control());
  const { connection } = await dialling;
  const got = recorder();
  const stream = connection.open(extended, recordingClientHandler(got));
  stream.sendDatagram(Uint8Array.of(0), bytes('early'), 0, 5);
  await net.clock.advanceAsync(50);
  assert.deepEqual(peer.datagrams, [forStream(0, '\0early')]);
  // The server's datagrams overtake its response.
  peer.datagram(forStream(0, '\0one'));
  peer.datagram(forStream(0, '\0two'));
  await net.clock.advanceAsync(1000);
  assert.deepEqual(got.log, []);
  const ok = headers([':status', '200']);
  peer.theirs.find(({ quic }) => quic.bidirectional)?.quic.write(ok, 0, ok.length);
  await net.clock.advanceAsync(50);
  assert.deepEqual(got.log, ['response 200', 'datagram', 'datagram']);
  assert.deepEqual(got.datagrams, ['\0one', '\0two']);
});

test('datagrams given before the stream may open go out in order once it does', options, async () => {
  const net = createNetwork();
  const server = await serve(net, {}, { maxBidirectionalStreams: 1 });
  const { connection } = await dial(net);
  const first = connection.open(classic, recordingClientHandler(recorder()));
  await net.clock.advanceAsync(50);
  const got = recorder();
  const second = connection.open(extended, recordingClientHandler(got));
  await net.clock.advanceAsync(50);
  assert.equal(second.id, -1);
  for (let index = 0; index < 70; index++) {
    assert.equal(second.sendDatagram(none, bytes(`${index}`), 0, `${index}`.length), 'sent');
  }
  assert.equal(second.sendDatagram(none, new Uint8Array(2000), 0, 2000), 'too-large');
  first.reset('cancelled');
  await net.clock.advanceAsync(100);
  assert.equal(second.id, 4);
  assert.deepEqual(
    server.requests[1]?.datagrams,
    Array.from({ length: 64 }, (_, index) => `${index + 6}`),
  );
});

test('a new largest datagram is told to streams that have datagrams', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const { connection } = await dial(net);
  const got = recorder();
  connection.open(extended, recordingClientHandler(got));
  const other = recorder();
  connection.open(classic, recordingClientHandler(other));
  await net.clock.advanceAsync(50);
  net.network.set({ mtu: 1300 });
  await net.clock.advanceAsync(50);
  assert.deepEqual(got.log, [`maxDatagramSize ${1300 - 38 - 1}`]);
  assert.deepEqual(server.requests[0]?.log, [`maxDatagramSize ${1300 - 38 - 1}`]);
  assert.deepEqual(other.log, []);
});
