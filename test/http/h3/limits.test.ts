import assert from 'node:assert/strict';
import { test } from 'node:test';
import { h3ErrorCodes } from '../../../src/protocol/h3-error.js';
import {
  connectUdp,
  control,
  data,
  frame,
  get,
  headers,
  join,
  post,
  rawClient,
  rawServer,
  varint,
} from './raw-peer.js';
import { bytes, classic, extended, plain, recorder, recordingClientHandler } from './recorded-streams.js';
import { createNetwork, dial, serve } from './simulated-http.js';

const options = { timeout: 120_000 };

test('a header section above the limit is answered with 431, encoded or decoded', options, async () => {
  const long = 'x'.repeat(600);
  const sections: [string, Uint8Array][] = [
    ['encoded', get(['a', long])],
    ['announced', join([0x01], varint(1 << 30))],
    // Each line of the static table takes one byte here and 32 and more when counted.
    ['decoded', get(...Array.from({ length: 20 }, () => ['accept', '*/*'] as const))],
  ];
  for (const [what, section] of sections) {
    const net = createNetwork();
    const server = await serve(net, { maxFieldSectionSize: 500 });
    const peer = await rawClient(net);
    peer.openUnidirectional(control());
    const stream = peer.open(section);
    await net.clock.advanceAsync(50);
    assert.deepEqual(stream.received, Buffer.from(headers([':status', '431'])), what);
    assert.deepEqual(stream.events.sort(), ['end', 'stopped 100'], what);
    assert.equal(server.requests.length, 0, what);
    assert.equal(server.connections[0]?.streams, 0, what);
    assert.equal(peer.close, undefined, what);
  }
});

test('the limit is advertised, and a client keeps to it', options, async () => {
  const net = createNetwork();
  const server = await serve(net, { maxFieldSectionSize: 500 });
  const { connection } = await dial(net);
  const got = recorder();
  connection.open({ ...plain, fields: [['a', 'x'.repeat(600)]] }, recordingClientHandler(got));
  await net.clock.advanceAsync(50);
  assert.equal(got.outcome?.kind, 'reset');
  assert.equal(server.requests.length, 0);
});

test('trailers above the limit abort the stream', options, async () => {
  const net = createNetwork();
  const server = await serve(net, { maxFieldSectionSize: 500 });
  const peer = await rawClient(net);
  const stream = peer.open(join(post(), data('a'), headers(['a', 'x'.repeat(600)])));
  await net.clock.advanceAsync(50);
  assert.deepEqual(stream.events.sort(), ['reset 107', 'stopped 107']);
  assert.equal(server.requests[0]?.outcome?.kind, 'reset');
});

test('W12: a slow header section is given up, also one that trickles', options, async () => {
  const net = createNetwork();
  const server = await serve(net, { headersTimeout: 1000 });
  const peer = await rawClient(net);
  peer.openUnidirectional(control());
  const nothing = peer.open(Uint8Array.of(0x21));
  const trickle = peer.open(Uint8Array.of(0x01, 0x3f));
  for (let index = 0; index < 9; index++) {
    await net.clock.advanceAsync(100);
    trickle.quic.write(Uint8Array.of(0), 0, 1);
  }
  const inTime = peer.open(connectUdp());
  await net.clock.advanceAsync(50);
  assert.deepEqual(nothing.events, []);
  await net.clock.advanceAsync(200);
  const incomplete = h3ErrorCodes.H3_REQUEST_INCOMPLETE.toString(16);
  for (const stream of [nothing, trickle]) {
    assert.deepEqual(stream.events.sort(), [`reset ${incomplete}`, `stopped ${incomplete}`]);
  }
  await net.clock.advanceAsync(5000);
  assert.deepEqual(inTime.events, []);
  assert.equal(server.requests.length, 1);
  assert.equal(server.connections[0]?.streams, 1);
  assert.equal(peer.close, undefined);
});

test(
  'requests that are cancelled in a burst close the connection with H3_EXCESSIVE_LOAD',
  options,
  async () => {
    for (const how of ['reset', 'stop'] as const) {
      const net = createNetwork();
      const server = await serve(net, { cancelledRequests: { burst: 20, perSecond: 10 } });
      const peer = await rawClient(net);
      peer.openUnidirectional(control());
      const cancel = (count: number): void => {
        for (let index = 0; index < count; index++) {
          const stream = peer.open(how === 'stop' ? Uint8Array.of(0x01) : get());
          if (how === 'stop') stream.quic.stop(0x10c);
          else stream.quic.reset(0x10c);
        }
      };
      cancel(20);
      await net.clock.advanceAsync(2000);
      assert.equal(peer.close, undefined, how);
      cancel(19);
      await net.clock.advanceAsync(50);
      assert.equal(peer.close, undefined, how);
      cancel(3);
      await net.clock.advanceAsync(50);
      const { close } = peer as { readonly close: unknown };
      const reason = 'too many cancelled requests';
      assert.deepEqual(close, { kind: 'application', code: 0x107, reason, byPeer: true }, how);
      assert.equal(server.connections[0]?.streams, 0, how);
    }
  },
);

test('requests that were answered may be cancelled without limit', options, async () => {
  const net = createNetwork();
  const server = await serve(net, { cancelledRequests: { burst: 5, perSecond: 1 } });
  server.onRequest = ({ stream }) => stream.respond({ status: 200, fields: [] });
  const { connection } = await dial(net);
  for (let index = 0; index < 50; index++) {
    const stream = connection.open(classic, recordingClientHandler(recorder()));
    await net.clock.advanceAsync(20);
    stream.reset('cancelled');
  }
  await net.clock.advanceAsync(20);
  assert.equal(server.requests.length, 50);
  assert.equal(connection.usable, true);
});

test('streams, frames and settings of unknown type are skipped', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const peer = await rawClient(net);
  const unknownSettings = join(
    [0x00],
    frame(0x04, join(varint(0x21), varint(7), varint(0x40), varint(1 << 20))),
  );
  peer.openUnidirectional(join(unknownSettings, frame(0x21, [1, 2, 3]), frame(0x40 * 0x1f + 0x21)));
  const reserved = peer.openUnidirectional(join([0x21], [1, 2, 3]));
  const cut = peer.openUnidirectional(Uint8Array.of(0x40));
  cut.quic.end();
  peer.openUnidirectional(Uint8Array.of(0x80)).quic.reset(0);
  const stream = peer.open(
    join(
      frame(0x21, new Uint8Array(100)),
      connectUdp(),
      frame(0x21),
      data('a'),
      frame(0xf700, new Uint8Array(100_000)),
      data('b'),
    ),
  );
  await net.clock.advanceAsync(200);
  assert.equal(server.requests[0]?.text, 'ab');
  assert.deepEqual(reserved.events, [`stopped ${h3ErrorCodes.H3_STREAM_CREATION_ERROR.toString(16)}`]);
  assert.equal(peer.close, undefined);
  stream.quic.end();
  await net.clock.advanceAsync(50);
  assert.deepEqual(server.requests[0]?.log.at(-1), 'end');
});

test('streams of unknown type without end close the connection with H3_EXCESSIVE_LOAD', options, async () => {
  const net = createNetwork();
  await serve(net, { unknownStreams: { burst: 10, perSecond: 1 } });
  const peer = await rawClient(net);
  for (let index = 0; index < 12; index++) {
    const stream = peer.openUnidirectional(Uint8Array.of(0x21));
    await net.clock.advanceAsync(10);
    if (index % 2 === 0) stream.quic.reset(0);
  }
  await net.clock.advanceAsync(50);
  assert.deepEqual(peer.close, {
    kind: 'application',
    code: 0x107,
    reason: 'too many streams of unknown type',
    byPeer: true,
  });
});

test('a QPACK encoder stream that allows nothing and a cancellation are fine', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const peer = await rawClient(net);
  peer.openUnidirectional(control());
  peer.openUnidirectional(Uint8Array.of(2, 0x20));
  peer.openUnidirectional(Uint8Array.of(3, 0x44, 0x7f, 0x81, 0x01));
  peer.open(get());
  await net.clock.advanceAsync(50);
  assert.equal(peer.close, undefined);
  assert.equal(server.requests.length, 1);
});

test('content comes within the credit, and without any none at all', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  server.onRequest = () => undefined;
  const peer = await rawClient(net);
  const content = Array.from({ length: 30_000 }, (_, index) => String.fromCharCode(97 + (index % 26))).join(
    '',
  );
  const frames: Uint8Array[] = [connectUdp()];
  for (let at = 0; at < content.length; at += 700)
    frames.push(data(content.slice(at, at + 700)), frame(0x21, [1]));
  const stream = peer.open(join(...frames));
  stream.quic.end();
  await net.clock.advanceAsync(100);
  const [served] = server.requests;
  assert.ok(served);
  assert.deepEqual(served.log, []);
  let granted = 0;
  for (const bytes of [1, 10, 700, 5000, 1, 10_000]) {
    served.stream.grant(bytes);
    granted += bytes;
    await net.clock.advanceAsync(50);
    assert.equal(served.text.length, granted);
  }
  served.stream.grant(30_000);
  await net.clock.advanceAsync(100);
  assert.equal(served.text, content);
  assert.deepEqual(served.log.slice(-1), ['end']);
});

test('credit given from within the data call continues in order', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  server.onRequest = ({ stream }) => stream.grant(3);
  const peer = await rawClient(net);
  peer.open(join(connectUdp(), data('abcdefghij'), data('klmnopqrst')));
  await net.clock.advanceAsync(50);
  const [served] = server.requests;
  assert.ok(served);
  assert.equal(served.text, 'abc');
  const { log } = served;
  let left = 9;
  // Each piece grants the next two bytes, out of the recorder's own push.
  log.push = (...items: string[]) => {
    if (items[0] === 'data' && left-- > 0) served.stream.grant(2);
    return Array.prototype.push.apply(log, items);
  };
  served.stream.grant(1);
  await net.clock.advanceAsync(50);
  assert.equal(served.text, 'abcdefghijklmnopqrst');
});

test('W8: stalled streams hold up no other stream of the connection', options, async () => {
  const net = createNetwork();
  const server = await serve(net, {}, { receiveWindow: 4 << 20, streamReceiveWindow: 8 * 1024 });
  server.onRequest = ({ stream }) => stream.grant(server.requests.length > 300 ? 1 << 24 : 0);
  const { connection } = await dial(net);
  for (let index = 0; index < 300; index++) {
    const stream = connection.open(classic, recordingClientHandler(recorder()));
    stream.write(new Uint8Array(32 * 1024), 0, 32 * 1024);
  }
  await net.clock.advanceAsync(500);
  const running = connection.open(classic, recordingClientHandler(recorder()));
  let sent = 0;
  while (sent < 1 << 20) {
    if (running.write(new Uint8Array(8192), 0, 8192)) sent += 8192;
    else sent += 8192;
    await net.clock.advanceAsync(20);
  }
  running.end();
  await net.clock.advanceAsync(1000);
  const last = server.requests[300];
  assert.equal(last?.text.length, 1 << 20);
  assert.equal(last?.log.at(-1), 'end');
  for (const served of server.requests.slice(0, 300)) assert.equal(served.text.length, 0);
});

test('writing tells to stop at the high-water mark and when to go on', options, async () => {
  const net = createNetwork();
  const server = await serve(net, {}, { streamReceiveWindow: 16 * 1024 });
  server.onRequest = () => undefined;
  const { connection } = await dial(net);
  const got = recorder();
  const stream = connection.open(extended, recordingClientHandler(got));
  const chunk = new Uint8Array(16 * 1024);
  let written = 0;
  while (stream.write(chunk, 0, chunk.length)) written += chunk.length;
  written += chunk.length;
  assert.ok(stream.buffered >= 64 * 1024);
  await net.clock.advanceAsync(100);
  assert.deepEqual(got.log, []);
  server.requests[0]?.stream.grant(1 << 20);
  await net.clock.advanceAsync(200);
  assert.deepEqual(got.log, ['drain']);
  assert.equal(server.requests[0]?.text.length, written);
  assert.equal(stream.buffered, 0);
});

test('W10: 200 kB of unknown frames pass by without credit and without stalling', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  server.onRequest = ({ stream }) => stream.grant(2);
  const peer = await rawClient(net);
  peer.open(join(connectUdp(), data('a'), frame(0x21, new Uint8Array(200_000)), data('b')));
  await net.clock.advanceAsync(500);
  assert.equal(server.requests[0]?.text, 'ab');
});

test('a client takes responses in pieces of one byte', options, async () => {
  const net = createNetwork();
  const accepted = rawServer(net);
  const dialling = dial(net);
  const peer = await await accepted;
  peer.openUnidirectional(control());
  const { connection } = await dialling;
  const got = recorder();
  const stream = connection.open(plain, recordingClientHandler(got));
  stream.grant(100);
  stream.end();
  await net.clock.advanceAsync(50);
  const wire = join(
    headers([':status', '103']),
    headers([':status', '200'], ['server', 'x']),
    frame(0x21, [1]),
    data('hello'),
  );
  const request = peer.theirs.find(({ quic }) => quic.bidirectional);
  for (const byte of wire) {
    request?.quic.write(Uint8Array.of(byte), 0, 1);
    await net.clock.advanceAsync(10);
  }
  request?.quic.end();
  await net.clock.advanceAsync(50);
  assert.equal(got.text, 'hello');
  assert.deepEqual(got.responses, [{ status: 200, fields: [['server', 'x']] }]);
  assert.deepEqual(got.outcome, { kind: 'ended' });
});

test('a response that cannot be sent becomes an error, not a crash', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const { connection } = await dial(net);
  const got = recorder();
  connection.open(extended, recordingClientHandler(got));
  await net.clock.advanceAsync(50);
  const [served] = server.requests;
  served?.stream.respond({ status: 200, fields: [['bad name', 'x\r\ny']] });
  assert.throws(() => served?.stream.respond({ status: 200, fields: [] }));
  assert.throws(() => served?.stream.inform({ status: 103, fields: [] }));
  await net.clock.advanceAsync(50);
  assert.equal(got.outcome?.kind === 'reset' && got.outcome.reason, 'internal-error');
  assert.equal(served?.stream.write(bytes('x'), 0, 1), true);
});
