import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bytes,
  classic,
  extended,
  plain,
  recorder,
  recordingClientHandler,
  type Served,
} from './recorded-streams.js';
import { createNetwork, dial, serve } from './simulated-http.js';

const options = { timeout: 120_000 };
const none = new Uint8Array(0);

function only(requests: readonly Served[]): Served {
  const [first] = requests;
  assert.ok(first);
  assert.equal(requests.length, 1);
  return first;
}

test('a plain request is answered, with informational responses before', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const { connection } = await dial(net);
  const got = recorder();
  const stream = connection.open({ ...plain, fields: [['accept', '*/*']] }, recordingClientHandler(got));
  stream.grant(1 << 20);
  stream.end();
  await net.clock.advanceAsync(100);
  const served = only(server.requests);
  assert.deepEqual(served.stream.request, { ...plain, fields: [['accept', '*/*']] });
  assert.deepEqual(served.log, ['end']);
  served.stream.inform({ status: 103, fields: [] });
  served.stream.respond({ status: 200, fields: [['content-length', '5']] });
  served.stream.write(bytes('hello'), 0, 5);
  served.stream.end();
  await net.clock.advanceAsync(100);
  assert.deepEqual(got.log, ['informational 103', 'response 200', 'data', 'end', 'closed ended']);
  assert.equal(got.text, 'hello');
  assert.deepEqual(await stream.closed, { kind: 'ended' });
  assert.deepEqual(await served.stream.closed, { kind: 'ended' });
  assert.equal(connection.streams, 0);
  assert.equal(server.connections[0]?.streams, 0);
});

test('extended CONNECT carries bytes both ways and half closes', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const { connection } = await dial(net);
  assert.deepEqual(connection.settings, { extendedConnect: true, datagrams: true, maxStreams: undefined });
  const got = recorder();
  const stream = connection.open(extended, recordingClientHandler(got));
  stream.grant(1 << 20);
  stream.write(bytes('early'), 0, 5);
  await net.clock.advanceAsync(100);
  const served = only(server.requests);
  assert.equal(served.text, 'early');
  served.stream.respond({ status: 200, fields: [['capsule-protocol', '?1']] });
  served.stream.write(bytes('xworldx'), 1, 6);
  served.stream.end();
  await net.clock.advanceAsync(100);
  assert.equal(got.text, 'world');
  assert.deepEqual(got.log, ['response 200', 'data', 'end']);
  stream.write(bytes('late'), 0, 4);
  stream.end();
  await net.clock.advanceAsync(100);
  assert.equal(served.text, 'earlylate');
  assert.deepEqual(served.outcome, { kind: 'ended' });
  assert.deepEqual(got.outcome, { kind: 'ended' });
});

test('classic CONNECT has an authority and raw bytes, and no datagrams', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const { connection } = await dial(net);
  const got = recorder();
  const stream = connection.open(classic, recordingClientHandler(got));
  await net.clock.advanceAsync(100);
  const served = only(server.requests);
  assert.deepEqual(served.stream.request, classic);
  assert.equal(served.stream.nativeDatagrams, false);
  assert.equal(stream.nativeDatagrams, false);
  assert.equal(stream.maxDatagramSize, 0);
  assert.equal(stream.sendDatagram(none, bytes('x'), 0, 1), 'dropped');
});

test('datagrams travel both ways with their quarter stream id', options, async () => {
  const net = createNetwork();
  const server = await serve(net);
  const { connection } = await dial(net);
  const ends = [recorder(), recorder()].map((got) => ({
    got,
    stream: connection.open(extended, recordingClientHandler(got)),
  }));
  for (const [index, { stream }] of ends.entries()) {
    assert.equal(stream.sendDatagram(Uint8Array.of(0x30), bytes(`to ${index}`), 0, 4), 'sent');
  }
  await net.clock.advanceAsync(100);
  assert.deepEqual(
    server.requests.map((served) => served.datagrams),
    [['0to 0'], ['0to 1']],
  );
  for (const [index, { stream }] of server.requests.entries()) {
    stream.respond({ status: 200, fields: [] });
    // Heads of several lengths, the same array with other content.
    const head = Uint8Array.of(0x31);
    stream.sendDatagram(head, bytes(`(from ${index})`), 1, 7);
    head[0] = 0x32;
    stream.sendDatagram(head, bytes(`(from ${index})`), 1, 7);
    stream.sendDatagram(bytes('long '), none, 0, 0);
    stream.sendDatagram(none, bytes('none'), 0, 4);
  }
  await net.clock.advanceAsync(100);
  assert.deepEqual(
    ends.map(({ got }) => got.datagrams),
    [
      ['1from 0', '2from 0', 'long ', 'none'],
      ['1from 1', '2from 1', 'long ', 'none'],
    ],
  );
  assert.ok(ends.every(({ got }) => got.log[0] === 'response 200'));
  assert.equal(ends[0]?.stream.sendDatagram(none, new Uint8Array(2000), 0, 2000), 'too-large');
});
