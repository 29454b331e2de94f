import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BautaError } from '../../../src/protocol/bauta-error.js';
import { type H3ErrorName, h3ErrorCodes } from '../../../src/protocol/h3-error.js';
import {
  control,
  data,
  frame,
  headers,
  idFrame,
  join,
  type RawPeer,
  type RawStream,
  rawServer,
  settings,
  varint,
} from './raw-peer.js';
import { classic, extended, plain, recorder, recordingClientHandler } from './recorded-streams.js';
import { createNetwork, dial, type Network } from './simulated-http.js';

const options = { timeout: 120_000 };
const ok = headers([':status', '200']);

/** A client whose server is the test, with the SETTINGS exchanged. */
async function connected(net: Network, first: Uint8Array = control()) {
  const accepted = rawServer(net);
  const dialling = dial(net);
  dialling.catch(() => undefined);
  const peer = await await accepted;
  const peerControl = peer.openUnidirectional(first);
  return { ...(await dialling), peer, peerControl };
}

const request = (peer: RawPeer): RawStream => {
  const stream = peer.theirs.find(({ quic }) => quic.bidirectional);
  assert.ok(stream);
  return stream;
};

const write = (stream: RawStream, bytes: Uint8Array): void => {
  stream.quic.write(bytes, 0, bytes.length);
};

/** What a server does wrong, and the code with which the client closes the connection. */
const connectionErrors: readonly [string, H3ErrorName, (peer: RawPeer, control: RawStream) => void][] = [
  ['a push stream', 'H3_ID_ERROR', (peer) => peer.openUnidirectional(Uint8Array.of(1, 0))],
  ['PUSH_PROMISE', 'H3_ID_ERROR', (peer) => write(request(peer), join(ok, frame(0x05, [0, 0, 0])))],
  ['MAX_PUSH_ID', 'H3_FRAME_UNEXPECTED', (_peer, stream) => write(stream, idFrame(0x0d, 1))],
  ['CANCEL_PUSH', 'H3_ID_ERROR', (_peer, stream) => write(stream, idFrame(0x03, 0))],
  ['GOAWAY that names no request', 'H3_ID_ERROR', (_peer, stream) => write(stream, idFrame(0x07, 3))],
  [
    'GOAWAY that goes up',
    'H3_ID_ERROR',
    (_peer, stream) => write(stream, join(idFrame(0x07, 4), idFrame(0x07, 8))),
  ],
  ['a bidirectional stream', 'H3_STREAM_CREATION_ERROR', (peer) => peer.open(Uint8Array.of(0))],
  ['the reset of the control stream', 'H3_CLOSED_CRITICAL_STREAM', (_peer, stream) => stream.quic.reset(0)],
  ['DATA before HEADERS', 'H3_FRAME_UNEXPECTED', (peer) => write(request(peer), data('x'))],
  [
    'HEADERS on an open tunnel',
    'H3_FRAME_UNEXPECTED',
    (peer) => write(request(peer), join(ok, data('x'), headers(['a', 'b']))),
  ],
  [
    'a response that ends inside a frame',
    'H3_FRAME_ERROR',
    (peer) => {
      write(request(peer), join(ok, [0x00, 0x05, 0x61]));
      request(peer).quic.end();
    },
  ],
  [
    'a field section with a wrong static index',
    'QPACK_DECOMPRESSION_FAILED',
    (peer) => write(request(peer), frame(0x01, [0, 0, 0xff, 0x7f])),
  ],
  [
    'S1: a datagram without a quarter stream id',
    'H3_DATAGRAM_ERROR',
    (peer) => peer.datagram(Uint8Array.of(0xc0)),
  ],
];

for (const [what, name, act] of connectionErrors) {
  const title = /^S\d+: /.test(what) ? `${what}, from a server` : `client: ${what}`;
  test(`${title} closes the connection with ${name}`, options, async () => {
    const net = createNetwork();
    const { connection, peer, peerControl, log } = await connected(net);
    const got = recorder();
    const stream = connection.open(extended, recordingClientHandler(got));
    stream.grant(1 << 20);
    await net.clock.advanceAsync(50);
    act(peer, peerControl);
    await net.clock.advanceAsync(100);
    assert.equal(peer.close?.kind, 'application');
    assert.deepEqual(peer.close, { ...peer.close, code: h3ErrorCodes[name], byPeer: true });
    assert.equal(got.outcome?.kind, 'lost');
    assert.deepEqual(got.outcome, { ...got.outcome, reason: 'protocol-error' });
    assert.equal(connection.usable, false);
    assert.equal(log.at(-1), 'closed protocol-error');
    assert.equal(net.clock.pending, 0, 'no timer is left');
  });
}

test('client: a bad first frame fails the dial with ERR_PROXY_PROTOCOL', options, async () => {
  for (const first of [join([0], frame(0x21)), join([0], settings([0x03, 1])), control(settings())]) {
    const net = createNetwork();
    const accepted = rawServer(net);
    const dialling = dial(net);
    dialling.catch(() => undefined);
    const peer = await await accepted;
    peer.openUnidirectional(first);
    // A second SETTINGS comes in one piece with the first: the dial may be settled before it is read.
    const result = await dialling.then(
      ({ connection }) => connection.closed.then(({ reason }) => reason),
      (error: unknown) => error,
    );
    if (result instanceof BautaError) assert.equal(result.code, 'ERR_PROXY_PROTOCOL');
    else assert.equal(result, 'protocol-error');
    assert.equal(peer.close?.kind, 'application');
  }
});

test('client: no SETTINGS in time fails the dial with ERR_PROXY_TIMEOUT', options, async () => {
  const net = createNetwork();
  const accepted = rawServer(net);
  const dialling = dial(net, { limits: { settingsTimeout: 150 } });
  const result = dialling.catch((error: unknown) => error);
  const peer = await await accepted;
  await net.clock.advanceAsync(300);
  const error = await result;
  assert.ok(error instanceof BautaError);
  assert.equal(error.code, 'ERR_PROXY_TIMEOUT');
  assert.deepEqual(peer.close, { kind: 'application', code: 0x100, reason: '', byPeer: true });
  assert.equal(net.clock.pending, 0);
});

test('client: an abort while SETTINGS are awaited leaves nothing behind', options, async () => {
  const net = createNetwork();
  const accepted = rawServer(net);
  const controller = new AbortController();
  const result = dial(net, {}, controller.signal).catch((error: unknown) => error);
  const peer = await await accepted;
  await net.clock.advanceAsync(50);
  controller.abort();
  const error = await result;
  assert.ok(error instanceof BautaError);
  assert.equal(error.code, 'ERR_ABORTED');
  await net.clock.advanceAsync(50);
  assert.equal(peer.close?.kind, 'application');
  assert.equal(net.clock.pending, 0);
});

test('client: a server that is not there fails the dial with ERR_PROXY_TIMEOUT', options, async () => {
  const net = createNetwork();
  const result = dial(net).catch((reason: unknown) => reason);
  await net.clock.advanceAsync(15_000);
  const error = await result;
  assert.ok(error instanceof BautaError);
  assert.equal(error.code, 'ERR_PROXY_TIMEOUT');
  assert.equal(net.clock.pending, 0);
});

/** A malformed response, and the code with which the client aborts its stream. */
const streamErrors: readonly [string, H3ErrorName, Uint8Array, boolean][] = [
  ['a response without :status', 'H3_MESSAGE_ERROR', headers(['a', 'b']), false],
  ['a response with status 101', 'H3_MESSAGE_ERROR', headers([':status', '101']), false],
  [
    'W11: a response with Connection',
    'H3_MESSAGE_ERROR',
    headers([':status', '200'], ['connection', 'x']),
    false,
  ],
  [
    'more content than announced',
    'H3_MESSAGE_ERROR',
    join(headers([':status', '200'], ['content-length', '1']), data('ab')),
    false,
  ],
  [
    'less content than announced',
    'H3_MESSAGE_ERROR',
    join(headers([':status', '200'], ['content-length', '3']), data('ab')),
    true,
  ],
  ['content of a 204', 'H3_MESSAGE_ERROR', join(headers([':status', '204']), data('ab')), false],
  ['a stream that ends before its response', 'H3_MESSAGE_ERROR', headers([':status', '103']), true],
  ['a response above the limit', 'H3_EXCESSIVE_LOAD', join([0x01], varint(1 << 20)), false],
  [
    'endless informational responses',
    'H3_EXCESSIVE_LOAD',
    join(...Array.from({ length: 101 }, () => headers([':status', '103']))),
    false,
  ],
];

for (const [what, name, wire, end] of streamErrors) {
  const title = /^W\d+: /.test(what) ? what : `client: ${what}`;
  test(`${title} aborts the stream with ${name}`, options, async () => {
    const net = createNetwork();
    const { connection, peer } = await connected(net);
    const got = recorder();
    const stream = connection.open(plain, recordingClientHandler(got));
    stream.grant(1 << 20);
    await net.clock.advanceAsync(50);
    write(request(peer), wire);
    if (end) request(peer).quic.end();
    await net.clock.advanceAsync(100);
    assert.equal(got.outcome?.kind, 'reset');
    assert.deepEqual(got.outcome, { ...got.outcome, by: 'local', code: h3ErrorCodes[name] });
    assert.ok(request(peer).events.includes(`reset ${h3ErrorCodes[name].toString(16)}`));
    assert.equal(peer.close, undefined);
    assert.equal(connection.streams, 0);
  });
}

test('S25: extended CONNECT is not sent to a server that does not allow it', options, async () => {
  const net = createNetwork();
  const { connection, peer } = await connected(net, join([0], settings()));
  assert.equal(connection.settings.extendedConnect, false);
  const got = recorder();
  const stream = connection.open(extended, recordingClientHandler(got));
  assert.equal(got.outcome, undefined, 'never told before open returns');
  await net.clock.advanceAsync(50);
  assert.deepEqual(got.outcome, {
    kind: 'reset',
    by: 'local',
    reason: 'refused',
    code: undefined,
    version: 'h3',
  });
  assert.deepEqual(await stream.closed, got.outcome);
  assert.equal(peer.theirs.filter(({ quic }) => quic.bidirectional).length, 0);
  // Classic CONNECT needs no leave.
  connection.open(classic, recordingClientHandler(recorder()));
  await net.clock.advanceAsync(50);
  assert.equal(peer.theirs.filter(({ quic }) => quic.bidirectional).length, 1);
});

test('S4: no QUIC DATAGRAM is sent to a server that did not agree', options, async () => {
  const net = createNetwork();
  const { connection, peer } = await connected(net, join([0], settings([0x08, 1])));
  assert.equal(connection.settings.datagrams, false);
  const stream = connection.open(extended, recordingClientHandler(recorder()));
  assert.equal(stream.nativeDatagrams, false);
  assert.equal(stream.maxDatagramSize, 0);
  assert.equal(stream.sendDatagram(new Uint8Array(0), Uint8Array.of(1), 0, 1), 'dropped');
  await net.clock.advanceAsync(50);
  assert.deepEqual(peer.datagrams, []);
});

test('client: a request larger than the server takes is not sent', options, async () => {
  const net = createNetwork();
  const { connection } = await connected(net, join([0], settings([0x06, 200])));
  const got = recorder();
  connection.open({ ...plain, fields: [['x', 'y'.repeat(300)]] }, recordingClientHandler(got));
  await net.clock.advanceAsync(50);
  assert.equal(got.outcome?.kind, 'reset');
  assert.equal(connection.streams, 0);
});

test('client: Content-Length in the 2xx to a CONNECT is ignored', options, async () => {
  const net = createNetwork();
  const { connection, peer } = await connected(net);
  const got = recorder();
  const stream = connection.open(classic, recordingClientHandler(got));
  stream.grant(100);
  await net.clock.advanceAsync(50);
  write(request(peer), join(headers([':status', '200'], ['content-length', '0']), data('bytes')));
  await net.clock.advanceAsync(50);
  assert.equal(got.text, 'bytes');
  assert.equal(got.outcome, undefined);
});

test('S4: a client that was told to use none agrees to no QUIC DATAGRAM', options, async () => {
  const net = createNetwork();
  const accepted = rawServer(net);
  const dialling = dial(net, { datagrams: false });
  const peer = await await accepted;
  peer.openUnidirectional(control());
  const { connection } = await dialling;
  assert.equal(connection.settings.datagrams, false);
  assert.equal(connection.settings.extendedConnect, true);
  const own = peer.theirs.find(({ received }) => received[0] === 0);
  assert.ok(own);
  // The only setting is the largest field section, 64 KiB.
  assert.deepEqual(own.received, join([0], settings([0x06, 65_536])));
});
