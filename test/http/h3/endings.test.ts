import assert from 'node:assert/strict';
import { test } from 'node:test';
import { h3ErrorCodes } from '../../../src/protocol/h3-error.js';
import { codeOf, type ResetReason } from '../../../src/protocol/reset-reason.js';
import {
  connect,
  connectUdp,
  control,
  data,
  get,
  headers,
  join,
  post,
  rawClient,
  rawServer,
} from './raw-peer.js';
import { bytes, extended, plain, recorder, recordingClientHandler } from './recorded-streams.js';
import { createNetwork, dial, serve } from './simulated-http.js';

const options = { timeout: 120_000 };
const NO_ERROR = h3ErrorCodes.H3_NO_ERROR;

async function tunnel(head = connectUdp()) {
  const net = createNetwork();
  const server = await serve(net);
  const peer = await rawClient(net);
  peer.openUnidirectional(control());
  const stream = peer.open(head);
  await net.clock.advanceAsync(50);
  const [served] = server.requests;
  assert.ok(served);
  served.stream.respond({ status: 200, fields: [] });
  await net.clock.advanceAsync(50);
  return { net, server, peer, stream, served };
}

test('W3: FIN with STOP_SENDING(H3_NO_ERROR) is a normal end', options, async () => {
  for (const order of ['fin first', 'stop first']) {
    const { net, peer, stream, served } = await tunnel();
    if (order === 'stop first') stream.quic.stop(NO_ERROR);
    stream.quic.end();
    if (order === 'fin first') stream.quic.stop(NO_ERROR);
    await net.clock.advanceAsync(50);
    assert.deepEqual(served.outcome, { kind: 'ended' }, order);
    assert.ok(served.log.includes('end'), order);
    served.stream.reset('cancelled');
    served.stream.end();
    await net.clock.advanceAsync(50);
    assert.equal(peer.close, undefined);
  }
});

test('STOP_SENDING(H3_NO_ERROR) after the own end is not told', options, async () => {
  const { net, stream, served } = await tunnel();
  served.stream.end();
  await net.clock.advanceAsync(2);
  stream.quic.stop(NO_ERROR);
  await net.clock.advanceAsync(50);
  assert.deepEqual(served.log, []);
  stream.quic.end();
  await net.clock.advanceAsync(50);
  assert.deepEqual(served.log, ['end', 'closed ended']);
});

test('STOP_SENDING alone is told, and the other direction goes on', options, async () => {
  const { net, stream, served } = await tunnel();
  stream.quic.stop(NO_ERROR);
  await net.clock.advanceAsync(50);
  assert.deepEqual(served.log, ['peerStopped no-error']);
  assert.equal(served.stream.write(bytes('x'), 0, 1), true);
  stream.quic.write(data('more'), 0, data('more').length);
  await net.clock.advanceAsync(50);
  assert.equal(served.text, 'more');
  stream.quic.end();
  await net.clock.advanceAsync(50);
  assert.deepEqual(served.outcome, { kind: 'ended' });
});

test('STOP_SENDING with an error is a reset once the readable bytes are drained', options, async () => {
  const { net, stream, served } = await tunnel();
  stream.quic.stop(h3ErrorCodes.H3_CONNECT_ERROR);
  stream.quic.write(data('rest'), 0, data('rest').length);
  stream.quic.end();
  await net.clock.advanceAsync(50);
  assert.deepEqual(served.log, ['peerStopped connect-error', 'data', 'end', 'closed reset']);
  assert.equal(served.text, 'rest');
  assert.deepEqual(served.outcome, {
    kind: 'reset',
    by: 'peer',
    reason: 'connect-error',
    code: h3ErrorCodes.H3_CONNECT_ERROR,
    version: 'h3',
  });
});

test("a peer's reset ends both directions with its reason", options, async () => {
  for (const [code, reason] of [
    [0x10c, 'cancelled'],
    [0x10f, 'connect-error'],
    [0x33, 'datagram-error'],
    [0x1234, 'unknown'],
    [0x102, 'internal-error'],
  ] as const) {
    const { net, stream, served } = await tunnel();
    stream.quic.reset(code);
    await net.clock.advanceAsync(50);
    assert.deepEqual(served.log, ['closed reset']);
    assert.deepEqual(served.outcome, { kind: 'reset', by: 'peer', reason, code, version: 'h3' });
    assert.match(stream.events.join(), /^reset /);
  }
});

test('a local reset sends RESET_STREAM and STOP_SENDING with the code of its reason', options, async () => {
  const reasons: ResetReason[] = [
    'cancelled',
    'refused',
    'message-error',
    'datagram-error',
    'connect-error',
    'excessive-load',
    'internal-error',
  ];
  for (const reason of reasons) {
    const { net, stream, served } = await tunnel();
    served.stream.write(bytes('x'), 0, 1);
    served.stream.reset(reason);
    served.stream.reset('cancelled');
    assert.equal(served.outcome?.kind, 'reset');
    await net.clock.advanceAsync(50);
    const code = codeOf(reason, 'h3');
    assert.deepEqual(served.outcome, { kind: 'reset', by: 'local', reason, code, version: 'h3' });
    assert.deepEqual(stream.events.sort(), [`reset ${code.toString(16)}`, `stopped ${code.toString(16)}`]);
    assert.deepEqual(served.log, ['closed reset']);
  }
});

test('a reset within the request handler is told to it', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  server.onRequest = ({ stream }) => stream.reset('refused');
  const { connection } = await dial(net);
  const got = recorder();
  connection.open(extended, recordingClientHandler(got));
  await net.clock.advanceAsync(50);
  assert.deepEqual(server.requests[0]?.log, ['closed reset']);
  assert.deepEqual(got.outcome, {
    kind: 'reset',
    by: 'peer',
    reason: 'refused',
    code: 0x10b,
    version: 'h3',
  });
});

test('a response that is complete before its request ends the stream', options, async () => {
  for (const [head, status] of [
    [post(), 200],
    [connect(), 403],
    [connectUdp(), 501],
  ] as const) {
    const net = createNetwork();
    const server = await serve(net);
    const peer = await rawClient(net);
    peer.openUnidirectional(control());
    const stream = peer.open(join(head, data('some')));
    await net.clock.advanceAsync(50);
    const [served] = server.requests;
    assert.ok(served);
    served.stream.respond({ status, fields: [] });
    served.stream.end();
    await net.clock.advanceAsync(50);
    assert.deepEqual(served.outcome, { kind: 'ended' });
    assert.deepEqual(stream.events.sort(), ['end', `stopped ${NO_ERROR.toString(16)}`]);
  }
});

test('such an early response reaches the client whole, as a normal end', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const { connection } = await dial(net);
  const got = recorder();
  const stream = connection.open(extended, recordingClientHandler(got));
  stream.grant(1000);
  await net.clock.advanceAsync(50);
  const [served] = server.requests;
  served?.stream.respond({ status: 403, fields: [] });
  served?.stream.write(bytes('no'), 0, 2);
  served?.stream.end();
  await net.clock.advanceAsync(50);
  assert.equal(got.text, 'no');
  assert.deepEqual(got.outcome, { kind: 'ended' });
  assert.equal(connection.streams, 0);
});

test('trailers of plain messages are accepted and ignored', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const peer = await rawClient(net);
  const trailers = headers(['checksum', '1']);
  const stream = peer.open(join(post(['content-length', '3']), data('abc'), trailers));
  stream.quic.end();
  await net.clock.advanceAsync(50);
  assert.equal(server.requests[0]?.text, 'abc');
  assert.deepEqual(server.requests[0]?.log, ['data', 'end']);
  assert.equal(peer.close, undefined);
});

test('what a lost connection was doing is told to each of its streams', options, async () => {
  const cases = [
    ['closed by the client', 'closed', 'peer-closed'],
    ['silence', 'timeout', 'timeout'],
    ['stateless reset', 'reset', undefined],
  ] as const;
  for (const [what, atClient, atServer] of cases) {
    const net = createNetwork();
    const server = await serve(net);
    const { connection, log } = await dial(net);
    const got = recorder();
    connection.open(extended, recordingClientHandler(got));
    connection.open(plain, recordingClientHandler(recorder()));
    await net.clock.advanceAsync(50);
    if (what === 'closed by the client') connection.close();
    else if (what === 'silence') net.network.cut('192.0.2.2');
    else net.network.crash('192.0.2.1');
    connection.open(extended, recordingClientHandler(recorder()));
    await net.clock.advanceAsync(60_000);
    assert.equal(got.outcome?.kind, 'lost', what);
    assert.equal(got.outcome?.reason, atClient, what);
    assert.equal((await connection.closed).reason, atClient, what);
    assert.deepEqual(log, [`closed ${atClient}`], what);
    assert.equal(connection.streams, 0);
    const [outcome] = server.requests.map((served) => served.outcome);
    if (atServer) assert.deepEqual(outcome, { ...outcome, kind: 'lost', reason: atServer }, what);
    assert.equal(net.clock.pending, 0, what);
    const late = recorder();
    const stream = connection.open(extended, recordingClientHandler(late));
    assert.equal((await stream.closed).kind, 'lost', what);
    await connection.close();
  }
});

test('a server closes with the code of its reason', options, async () => {
  for (const [reason, code] of [
    ['shutdown', 0x100],
    ['unauthenticated', 0x100],
    ['excessive-load', 0x107],
    ['internal-error', 0x102],
  ] as const) {
    const net = createNetwork();
    const server = await serve(net);
    const accepted = await rawClient(net);
    accepted.open(get());
    await net.clock.advanceAsync(50);
    server.connections[0]?.close(reason);
    server.connections[0]?.close('shutdown');
    await net.clock.advanceAsync(50);
    assert.deepEqual(accepted.close, { kind: 'application', code, reason: '', byPeer: true });
    assert.equal(server.requests[0]?.outcome?.kind, 'lost');
  }
});

test('PING measures a round trip, and fails on a lost connection and by its signal', options, async () => {
  const net = createNetwork({ latency: 20 });
  await serve(net);
  const { connection } = await dial(net);
  const measured = connection.ping(new AbortController().signal);
  await net.clock.advanceAsync(200);
  const roundTrip = await measured;
  assert.ok(roundTrip >= 20 && roundTrip < 100, `${roundTrip}`);
  net.network.cut('192.0.2.2');
  const controller = new AbortController();
  const failed = (promise: Promise<number>) =>
    promise.then(
      () => 'none',
      (error: { code: string }) => error.code,
    );
  const aborted = failed(connection.ping(controller.signal));
  const lost = failed(connection.ping(new AbortController().signal));
  await net.clock.advanceAsync(1000);
  controller.abort();
  assert.equal(await aborted, 'ERR_ABORTED');
  await net.clock.advanceAsync(60_000);
  assert.equal(await lost, 'ERR_CONNECTION_LOST');
  assert.equal(await failed(connection.ping(new AbortController().signal)), 'ERR_CONNECTION_LOST');
  assert.equal(net.clock.pending, 0);
});

test('a close by the peer with an error is told with its code', options, async () => {
  const net = createNetwork();
  const accepted = rawServer(net);
  const dialling = dial(net);
  const peer = await await accepted;
  peer.openUnidirectional(control());
  const { connection } = await dialling;
  peer.quic.close(h3ErrorCodes.H3_EXCESSIVE_LOAD, 'enough');
  await net.clock.advanceAsync(50);
  assert.deepEqual(await connection.closed, {
    reason: 'protocol-error',
    code: h3ErrorCodes.H3_EXCESSIVE_LOAD,
    detail: 'H3_EXCESSIVE_LOAD: enough',
  });
});
