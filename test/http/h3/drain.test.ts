import assert from 'node:assert/strict';
import { test } from 'node:test';
import { h3ErrorCodes } from '../../../src/protocol/h3-error.js';
import { connectUdp, control, get, idFrame, join, rawClient, rawServer } from './raw-peer.js';
import { bytes, classic, extended, plain, recorder, recordingClientHandler } from './recorded-streams.js';
import { createNetwork, dial, serve } from './simulated-http.js';

const options = { timeout: 120_000 };
const GOAWAY = 0x07;

test('a draining server says so twice, serves what is under way and rejects the rest', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const peer = await rawClient(net);
  peer.openUnidirectional(control());
  const running = peer.open(connectUdp());
  await net.clock.advanceAsync(20);
  const [connection] = server.connections;
  const theirs = peer.theirs.find(({ received }) => received[0] === 0);
  assert.ok(connection && theirs);
  const before = theirs.received.length;
  connection.drain();
  connection.drain();
  await net.clock.advanceAsync(10);
  assert.deepEqual(
    theirs.received.subarray(before),
    Buffer.from(idFrame(GOAWAY, Number.MAX_SAFE_INTEGER - 3)),
  );
  const inBetween = peer.open(get());
  await net.clock.advanceAsync(200);
  assert.deepEqual(
    theirs.received.subarray(before),
    join(idFrame(GOAWAY, Number.MAX_SAFE_INTEGER - 3), idFrame(GOAWAY, 8)),
  );
  const late = peer.open(get());
  await net.clock.advanceAsync(50);
  const rejected = h3ErrorCodes.H3_REQUEST_REJECTED.toString(16);
  assert.deepEqual(late.events.sort(), [`reset ${rejected}`, `stopped ${rejected}`]);
  assert.equal(server.requests.length, 2);
  for (const { stream } of server.requests) stream.respond({ status: 200, fields: [] });
  server.requests[1]?.stream.end();
  inBetween.quic.end();
  await net.clock.advanceAsync(5000);
  assert.equal(peer.close, undefined, 'a tunnel is open');
  server.requests[0]?.stream.write(bytes('bye'), 0, 3);
  server.requests[0]?.stream.end();
  running.quic.end();
  await net.clock.advanceAsync(100);
  assert.equal(peer.close, undefined, 'the last bytes get time to arrive');
  await net.clock.advanceAsync(1000);
  assert.deepEqual(peer.close, { kind: 'application', code: 0x100, reason: '', byPeer: true });
  assert.deepEqual(await connection.closed, { reason: 'closed', code: 0x100, detail: '' });
  assert.equal(net.clock.pending, 0);
});

test('an idle connection is closed soon after the drain begins', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const { connection, log } = await dial(net);
  server.connections[0]?.drain();
  await net.clock.advanceAsync(200);
  assert.deepEqual(log, ['draining', 'closed closed']);
  assert.equal(connection.usable, false);
  assert.equal(net.clock.pending, 0);
});

test('a client whose server drains opens nothing more, and its streams run on', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const { connection, log } = await dial(net);
  const got = recorder();
  const stream = connection.open(extended, recordingClientHandler(got));
  stream.grant(100);
  await net.clock.advanceAsync(50);
  server.requests[0]?.stream.respond({ status: 200, fields: [] });
  server.connections[0]?.drain();
  await net.clock.advanceAsync(2000);
  assert.deepEqual(log, ['draining']);
  const late = connection.open(extended, recordingClientHandler(recorder()));
  assert.deepEqual(await late.closed, {
    kind: 'lost',
    reason: 'peer-closed',
    detail: 'the connection takes no new streams',
  });
  server.requests[0]?.stream.write(bytes('still'), 0, 5);
  stream.end();
  server.requests[0]?.stream.end();
  await net.clock.advanceAsync(2000);
  assert.equal(got.text, 'still');
  assert.deepEqual(got.outcome, { kind: 'ended' });
  assert.deepEqual(server.requests[0]?.outcome, { kind: 'ended' });
  assert.equal(log.length, 2);
  assert.equal(net.clock.pending, 0);
});

test('requests that GOAWAY leaves out are lost, and may be sent again', options, async () => {
  const net = createNetwork();
  const accepted = rawServer(net, { maxBidirectionalStreams: 2 });
  const dialling = dial(net);
  const peer = await await accepted;
  const stream = peer.openUnidirectional(control());
  const { connection } = await dialling;
  const ends = [extended, plain, classic].map((head) => {
    const got = recorder();
    connection.open(head, recordingClientHandler(got));
    return got;
  });
  await net.clock.advanceAsync(50);
  const goaway = idFrame(GOAWAY, 4);
  stream.quic.write(goaway, 0, goaway.length);
  await net.clock.advanceAsync(50);
  const refused = { kind: 'lost', reason: 'peer-closed', detail: 'refused by GOAWAY' };
  assert.deepEqual(
    ends.map(({ outcome }) => outcome),
    [undefined, refused, refused],
  );
  const second = peer.theirs.find(({ quic }) => quic.id === 4);
  assert.deepEqual(second?.events.sort(), ['reset 10c', 'stopped 10c']);
  assert.equal(connection.streams, 1);
});

test('a client drains by itself: GOAWAY, then the close behind its last stream', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const { connection, log } = await dial(net);
  const stream = connection.open(extended, recordingClientHandler(recorder()));
  await net.clock.advanceAsync(50);
  connection.drain();
  assert.equal(connection.usable, false);
  assert.equal((await connection.open(plain, recordingClientHandler(recorder())).closed).kind, 'lost');
  await net.clock.advanceAsync(1000);
  assert.deepEqual(log, []);
  server.requests[0]?.stream.respond({ status: 200, fields: [] });
  server.requests[0]?.stream.end();
  stream.grant(1);
  stream.write(bytes('last'), 0, 4);
  stream.end();
  await net.clock.advanceAsync(2000);
  assert.equal(server.requests[0]?.text, 'last');
  assert.deepEqual(server.requests[0]?.outcome, { kind: 'ended' });
  assert.deepEqual(log, ['closed closed']);
  assert.deepEqual((await server.connections[0]?.closed)?.reason, 'peer-closed');
  assert.equal(net.clock.pending, 0);
});
