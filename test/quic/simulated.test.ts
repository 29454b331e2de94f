import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QuicConnectError } from '../../src/quic/engine.js';
import { clientAddress, connectPair, recordingHandler, serverAddress } from './simulated-pair.js';

const timeout = 10_000;
const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => (index * 7) % 251);

test('a stream carries bytes in order and ends both ways', { timeout }, async () => {
  const { client, clock, atServer, atClient } = await connectPair();
  const stream = client.openBidirectional(recordingHandler(atClient, 'c'));
  assert.equal(stream.id, -1);
  const sent = pattern(50_000);
  stream.write(sent, 0, sent.length);
  stream.end();
  assert.deepEqual(atClient.log, [], 'nothing is told synchronously');
  await clock.advanceAsync(100);
  assert.equal(stream.id, 0);
  assert.deepEqual(Uint8Array.from(atServer.bytes), sent);
  assert.equal(atServer.log.at(-1), 's0 end');
  stream.grant(100);
  const [remote] = atServer.streams;
  remote?.write(sent, 1, 4);
  remote?.end();
  await clock.advanceAsync(100);
  assert.deepEqual(atClient.bytes, [...sent.subarray(1, 4)]);
  assert.deepEqual(atClient.log, ['c opened 0', 'c data 3', 'c end']);
});

test('bytes are copied when written and views are overwritten when the call is over', {
  timeout,
}, async () => {
  const { client, clock, atServer } = await connectPair();
  const kept: Uint8Array[] = [];
  atServer.onStream = () => ({
    ...recordingHandler(atServer, 's'),
    data: (bytes, start, end) => kept.push(bytes.subarray(start, end)),
  });
  const stream = client.openUnidirectional(recordingHandler(atServer, 'c'));
  const bytes = pattern(10);
  stream.write(bytes, 0, 10);
  bytes.fill(0);
  await clock.advanceAsync(100);
  assert.deepEqual([...(kept[0] ?? [])], new Array(10).fill(0xdb));
});

test('nothing is delivered without credit, the end included, and the writer is stopped', {
  timeout,
}, async () => {
  const { client, clock, atServer, atClient } = await connectPair();
  atServer.credit = 0;
  const stream = client.openUnidirectional(recordingHandler(atClient, 'c'));
  const chunk = new Uint8Array(32 * 1024);
  let written = 0;
  let room = true;
  const pump = (): void => {
    while (room && written < 4 << 20) {
      room = stream.write(chunk, 0, chunk.length);
      written += chunk.length;
    }
  };
  pump();
  for (let round = 0; round < 50; round++) {
    await clock.advanceAsync(20);
    room = atClient.log.includes('c drain') ? true : room;
    atClient.log.length = 0;
    pump();
  }
  assert.ok(written < (1 << 20) + 256 * 1024, `the window bounds what is taken (${written})`);
  assert.deepEqual(atServer.log, ['stream 2']);
  stream.end();
  atServer.streams[0]?.grant(written);
  await clock.advanceAsync(2000);
  assert.equal(atServer.bytes.length, written);
  assert.ok(!atServer.log.includes('s2 end'), 'no credit is left to read the end');
  atServer.streams[0]?.grant(1);
  await clock.advanceAsync(100);
  assert.equal(atServer.log.at(-1), 's2 end');
});

test('the first credit of a listener lets so many bytes come without a grant', { timeout }, async () => {
  const { client, clock, atServer, atClient } = await connectPair({}, {}, {}, { firstCredit: 4 });
  atServer.credit = 0;
  const stream = client.openBidirectional(recordingHandler(atClient, 'c'));
  stream.write(pattern(10), 0, 10);
  await clock.advanceAsync(100);
  assert.deepEqual(atServer.log, ['stream 0', 's0 data 4']);
  assert.deepEqual([stream.firstCredit, atServer.streams[0]?.firstCredit], [0, 4]);
  atServer.streams[0]?.grant(6);
  await clock.advanceAsync(100);
  assert.deepEqual(atServer.bytes, [...pattern(10)]);
});

test('reset, stop and their codes reach the other side', { timeout }, async () => {
  const { client, clock, atServer, atClient } = await connectPair();
  const one = client.openBidirectional(recordingHandler(atClient, 'one'));
  one.write(pattern(3), 0, 3);
  await clock.advanceAsync(50);
  one.reset(77);
  await clock.advanceAsync(50);
  assert.equal(atServer.log.at(-1), 's0 reset 77');
  one.stop(78);
  await clock.advanceAsync(50);
  assert.equal(atServer.log.at(-1), 's0 stopped 78');
  const two = client.openBidirectional(recordingHandler(atClient, 'two'));
  two.write(pattern(3), 0, 3);
  await clock.advanceAsync(50);
  atServer.streams[1]?.stop(5);
  await clock.advanceAsync(50);
  assert.equal(atClient.log.at(-1), 'two stopped 5');
  assert.equal(two.write(pattern(3), 0, 3), true);
  assert.ok(!atClient.log.some((line) => line.startsWith('one reset') || line.startsWith('two reset')));
});

test('a stream over the limit waits for MAX_STREAMS, and one given up meanwhile is never seen', {
  timeout,
}, async () => {
  const { client, clock, atServer, atClient } = await connectPair(
    {},
    { server: { transport: { maxBidirectionalStreams: 2 } } },
  );
  const streams = ['a', 'b', 'c', 'd'].map((name) => {
    const stream = client.openBidirectional(recordingHandler(atClient, name));
    stream.write(pattern(1), 0, 1);
    stream.grant(10);
    stream.end();
    return stream;
  });
  streams[2]?.reset(1);
  streams[2]?.stop(1);
  await clock.advanceAsync(100);
  assert.deepEqual(
    streams.map((stream) => stream.id),
    [0, 4, -1, -1],
  );
  for (const stream of [...atServer.streams]) stream.end();
  await clock.advanceAsync(100);
  assert.deepEqual(
    streams.map((stream) => stream.id),
    [0, 4, -1, 8],
  );
  assert.equal(atServer.log.filter((line) => line.startsWith('stream')).length, 3);
});

test('datagrams: sizes, the peer that takes none, and a changed MTU', { timeout }, async () => {
  const { client, server, clock, network, atServer } = await connectPair();
  const max = client.maxDatagramSize;
  assert.equal(max, 1452 - 38);
  const none = new Uint8Array(0);
  assert.equal(client.sendDatagram(Uint8Array.of(9), pattern(5), 1, 3), 'sent');
  assert.equal(client.sendDatagram(none, new Uint8Array(max), 0, max), 'sent');
  assert.equal(client.sendDatagram(none, new Uint8Array(max + 1), 0, max + 1), 'too-large');
  assert.equal(client.sendDatagram(none, none, 0, 0), 'sent');
  await clock.advanceAsync(100);
  assert.deepEqual(
    atServer.datagrams.map((datagram) => datagram.length),
    [3, max, 0],
  );
  assert.deepEqual([...(atServer.datagrams[0] ?? [])], [9, 7, 14]);
  network.set({ mtu: 1280 });
  await clock.advanceAsync(100);
  assert.equal(client.maxDatagramSize, 1242);
  assert.equal(atServer.log.at(-1), 'max 1242');
  network.shrinkSilently(1250);
  client.sendDatagram(none, new Uint8Array(1240), 0, 1240);
  await clock.advanceAsync(100);
  assert.equal(atServer.datagrams.length, 3, 'a packet larger than the path vanishes');
  assert.equal(server.maxDatagramSize, 1242);

  const off = await connectPair({}, { server: { transport: { datagramReceiveBuffer: 0 } } });
  assert.equal(off.client.maxDatagramSize, 0);
  assert.equal(off.client.sendDatagram(none, none, 0, 1), 'too-large');
  assert.ok(off.server.maxDatagramSize > 0);
});

test('a slow link drops old datagrams, oldest first, and counts them', { timeout }, async () => {
  const { client, clock, atServer } = await connectPair(
    { bandwidth: 100_000 },
    { client: { transport: { datagramSendBuffer: 50_000 } } },
  );
  const body = new Uint8Array(1000);
  for (let index = 0; index < 200; index++) {
    assert.equal(client.sendDatagram(Uint8Array.of(index), body, 0, 999), 'sent');
  }
  await clock.advanceAsync(2000);
  const seen = atServer.datagrams.map((datagram) => datagram[0] ?? -1);
  assert.equal(seen[0], 150, 'the queue holds the newest 50');
  assert.ok(seen.length >= 20 && seen.length <= 30, `a quarter of a second of them is sent (${seen.length})`);
  const { datagramsDroppedSending } = await client.statistics();
  assert.equal(datagramsDroppedSending + seen.length, 200);
});

test('loss and reordering: streams stay whole, datagrams do not', { timeout }, async () => {
  const { client, clock, atServer } = await connectPair({ loss: 0.1, reorder: 0.3, seed: 7 });
  const sent = pattern(200_000);
  const stream = client.openUnidirectional(recordingHandler(atServer, 'c'));
  stream.write(sent, 0, sent.length);
  stream.end();
  for (let index = 0; index < 100; index++) client.sendDatagram(Uint8Array.of(index), sent, 0, 10);
  await clock.advanceAsync(20_000);
  assert.deepEqual(Uint8Array.from(atServer.bytes), sent);
  const order = atServer.datagrams.map((datagram) => datagram[0] ?? -1);
  assert.ok(order.length > 60 && order.length < 100, `${order.length} arrived`);
  assert.notDeepEqual(
    order,
    [...order].sort((a, b) => a - b),
  );
  assert.equal(new Set(order).size, order.length);
});

test('a close tells both sides, every unfinished stream first, exactly once', { timeout }, async () => {
  const { client, server, clock, network, atServer, atClient } = await connectPair();
  const stream = client.openBidirectional(recordingHandler(atClient, 'c'));
  stream.write(pattern(4), 0, 4);
  const done = client.openUnidirectional(recordingHandler(atClient, 'done'));
  done.end();
  await clock.advanceAsync(100);
  server.close(0x107, 'busy');
  server.close(1, 'again');
  assert.ok(!atServer.close);
  await clock.advanceAsync(100);
  assert.deepEqual(atServer.log.slice(-2), ['s0 lost', 'closed application']);
  assert.deepEqual(atClient.log.slice(-2), ['c lost', 'closed application']);
  assert.ok(!atClient.log.includes('done lost'));
  assert.deepEqual(atClient.close, { kind: 'application', code: 0x107, reason: 'busy', byPeer: true });
  assert.deepEqual(atServer.close, { kind: 'application', code: 0x107, reason: 'busy', byPeer: false });
  const late = client.openBidirectional(recordingHandler(atClient, 'late'));
  late.write(pattern(4), 0, 4);
  await clock.advanceAsync(100);
  assert.equal(atClient.log.at(-1), 'late lost');
  assert.equal(client.sendDatagram(pattern(1), pattern(1), 0, 1), 'dropped');
  assert.equal(network.connections(serverAddress) + network.connections(clientAddress), 0);
});

test('what was written in the turn of the close is lost', { timeout }, async () => {
  const { client, clock, atServer } = await connectPair();
  const stream = client.openUnidirectional(recordingHandler(atServer, 'c'));
  await clock.advanceAsync(10);
  stream.write(pattern(4), 0, 4);
  client.close(0, '');
  await clock.advanceAsync(100);
  assert.deepEqual(atServer.bytes, []);
});

test('a cut link is silent until the idle time, a short cut only delays', { timeout }, async () => {
  const { client, clock, network, atServer, atClient } = await connectPair();
  const stream = client.openUnidirectional(recordingHandler(atClient, 'c'));
  network.cut(serverAddress);
  stream.write(pattern(3), 0, 3);
  await clock.advanceAsync(5000);
  assert.deepEqual(atServer.bytes, []);
  network.restore(serverAddress);
  await clock.advanceAsync(100);
  assert.deepEqual(atServer.bytes, [...pattern(3)]);
  network.cut(clientAddress);
  await clock.advanceAsync(29_000);
  assert.ok(!atClient.close);
  await clock.advanceAsync(2000);
  assert.deepEqual([atClient.log.at(-1), atServer.log.at(-1)], ['closed idle', 'closed idle']);
});

test('keep-alive keeps a quiet connection, a crashed peer answers with a stateless reset', {
  timeout,
}, async () => {
  const { clock, network, atClient } = await connectPair(
    {},
    { client: { transport: { keepAlive: 10_000 } } },
  );
  await clock.advanceAsync(120_000);
  assert.ok(!atClient.close);
  network.crash(serverAddress);
  await clock.advanceAsync(20_000);
  assert.equal(atClient.log.at(-1), 'closed stateless-reset');
});

test('a rebound client is seen from its new port', { timeout }, async () => {
  const { server, client, clock, network, atServer } = await connectPair();
  const before = server.remoteAddress.port;
  network.rebind(clientAddress);
  await clock.advanceAsync(100);
  assert.notEqual(server.remoteAddress.port, before);
  assert.deepEqual(server.remoteAddress, client.localAddress);
  assert.equal(atServer.log.at(-1), `migrated ${clientAddress}`);
});

test('connections that do not come up say why', { timeout }, async () => {
  const { clock, clientEngine, listener, serverEngine, network } = await connectPair();
  const quiet = (): never => {
    throw new Error('this connection must not come up');
  };
  const attempt = async (change: object, signal = new AbortController().signal) => {
    const tls = { serverName: 'proxy.test', alpn: ['h3'], trust: { mode: 'system' } as const };
    const connecting = clientEngine.connect({ remote: listener.localAddress, tls, ...change }, quiet, signal);
    const failure = connecting.then(
      () => undefined,
      (error: unknown) => (error instanceof QuicConnectError ? error.failure : error),
    );
    await clock.advanceAsync(11_000);
    return failure;
  };
  const tls = { serverName: 'proxy.test', alpn: ['h2'], trust: { mode: 'system' } as const };
  assert.deepEqual(await attempt({ tls }), {
    kind: 'tls',
    alert: 120,
    reason: 'no application protocol in common',
  });
  assert.deepEqual(await attempt({ remote: { address: '192.0.2.9', port: 443 } }), { kind: 'timeout' });
  assert.deepEqual(await attempt({}, AbortSignal.abort()), { kind: 'aborted' });
  network.engine(serverAddress, { certificateProblem: 'expired', pin: 'sha256-x' });
  assert.deepEqual(await attempt({}), {
    kind: 'certificate',
    problem: 'expired',
    pin: 'sha256-x',
    reason: 'simulated: expired',
  });
  network.engine(serverAddress, {});
  listener.stopAccepting();
  assert.deepEqual(await attempt({}), { kind: 'timeout' });
  await assert.rejects(
    serverEngine.listen(
      { local: { address: '192.0.2.77', port: 1 }, tls: { certificates: [], alpn: ['h3'] } },
      quiet,
    ),
    { errno: 'EADDRNOTAVAIL' },
  );
});

test('closing the engine ends its connections and leaves no timer', { timeout }, async () => {
  const { clock, serverEngine, clientEngine, atClient, atServer } = await connectPair();
  const closing = Promise.all([clientEngine.close(), serverEngine.close()]);
  await clock.advanceAsync(100);
  await closing;
  assert.ok(atClient.close && atServer.close);
  assert.equal(clock.pending, 0);
});

test('UDP sockets: echo, connected filter, closed port, too large', { timeout }, async () => {
  const { clock, serverEngine, clientEngine } = await connectPair();
  const log: string[] = [];
  const echo = await serverEngine.udp.open(
    { local: { address: '0.0.0.0', port: 53 } },
    {
      packet: (bytes, start, end, from) => {
        echo.send(bytes, start, end, from);
      },
      problem: () => undefined,
    },
  );
  const socket = await clientEngine.udp.open(
    { remote: echo.localAddress },
    {
      packet: (bytes, start, end, from) => {
        log.push(`packet ${[...bytes.subarray(start, end)]} ${from === undefined}`);
      },
      problem: (problem, errno) => log.push(`${problem} ${errno}`),
    },
  );
  assert.equal(socket.send(Uint8Array.of(0, 1, 2, 3), 1, 3), 'sent');
  await clock.advanceAsync(50);
  assert.deepEqual(log.splice(0), ['packet 1,2 true']);
  const stranger = await serverEngine.udp.open({}, { packet: () => undefined, problem: () => undefined });
  stranger.send(Uint8Array.of(9), 0, 1, socket.localAddress);
  socket.send(new Uint8Array(2000), 0, 2000);
  echo.close();
  await clock.advanceAsync(50);
  assert.deepEqual(log.splice(0), ['too-large EMSGSIZE']);
  socket.send(Uint8Array.of(1), 0, 1);
  await clock.advanceAsync(50);
  assert.deepEqual(log, ['refused ECONNREFUSED']);
  await assert.rejects(clientEngine.udp.open({ local: socket.localAddress }, stranger as never), {
    problem: 'no-ports',
  });
});
