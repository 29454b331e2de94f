import assert from 'node:assert/strict';
import net, { type Socket } from 'node:net';
import test, { type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../../../src/clock/system-clock.js';
import { dialH2 } from '../../../src/http/h2/dial.js';
import { listenTcp } from '../../../src/http/tcp/listener.js';
import type { SocketAddress } from '../../../src/quic/address.js';
import { QuicConfigurationError } from '../../../src/quic/engine.js';
import { extendedBlock, frameClient, frameType } from '../h2/frame-peer.js';
import { testCertificate } from './certificate.js';
import {
  certificate,
  clientTls,
  dialHttp1,
  dialHttp2,
  echo,
  engine,
  extendedHead,
  recorder,
  send,
  serve,
} from './peers.js';
import { textClient, upgradeText } from './text-client.js';

const limit = { timeout: 120_000 };

async function tcpClient(t: TestContext, remote: SocketAddress, localAddress?: string): Promise<Socket> {
  const socket = net.connect({
    host: remote.address,
    port: remote.port,
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  socket.on('error', () => undefined);
  t.after(() => socket.destroy());
  // A reset may come before Node has told of the connection.
  await new Promise((resolve) => {
    socket.once('connect', resolve);
    socket.once('close', resolve);
  });
  return socket;
}

const closeOf = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.destroyed) resolve();
    else socket.once('close', () => resolve());
    socket.resume();
  });

test('an address in use is told by its errno', limit, async (t) => {
  const served = await serve(t, echo);
  await assert.rejects(serve(t, echo, { local: served.listener.localAddress }), (error) => {
    assert.ok(error instanceof QuicConfigurationError);
    assert.equal(error.errno, 'EADDRINUSE');
    return true;
  });
});

test('a certificate that cannot be used is a configuration error', limit, async (t) => {
  const tls = { certificates: [{ cert: 'x', key: 'y' }], alpn: ['h2'] };
  await assert.rejects(serve(t, echo, { tls }), QuicConfigurationError);
});

test('IPv6 and dual stack', limit, async (t) => {
  const served = await serve(t, echo, { local: { address: '::', port: 0 }, dualStack: true });
  for (const address of ['127.0.0.1', '::1']) {
    const connection = await dialHttp2(t, { address, port: served.listener.localAddress.port });
    const seen = recorder();
    connection.open(extendedHead, seen);
    await seen.responded;
  }
  assert.deepEqual(
    served.connections.map((connection) => connection.remoteAddress.address),
    ['127.0.0.1', '::1'],
  );
});

test('W12: a handshake that stalls is ended', limit, async (t) => {
  const served = await serve(t, echo, { handshakeTimeout: 100 });
  const socket = await tcpClient(t, served.listener.localAddress);
  socket.write(Buffer.from([0x16, 0x03, 0x01]));
  const before = performance.now();
  await closeOf(socket);
  assert.ok(performance.now() - before < 9_000, 'the default is ten seconds');
});

test('a client that gives up in the handshake holds no place for the rest of its time', limit, async (t) => {
  const served = await serve(t, echo, { handshakeTimeout: 600_000 });
  const socket = await tcpClient(t, served.listener.localAddress);
  socket.end(Buffer.from('160301', 'hex'));
  await closeOf(socket);
});

test('W12: slow headers are ended, in HTTP/1.1 and HTTP/2, before and between requests', limit, async (t) => {
  const served = await serve(
    t,
    (stream) => {
      stream.respond({ status: 403, fields: [['content-length', '0']] });
      stream.end();
    },
    { requestHeadTimeout: 150 },
  );
  const slow = await textClient(t, served.listener.localAddress);
  slow.send('GET / HTTP/1.1\r\nHost: loc');
  const between = await textClient(t, served.listener.localAddress);
  between.send(upgradeText());
  await between.until((text) => text.includes('403'));
  between.send('GET / HTTP/1.1\r\nHo');
  const silent = await frameClient(t, served.listener.localAddress);
  const halfHead = await frameClient(t, served.listener.localAddress);
  halfHead.send(frameType.headers, 0, 1, extendedBlock.subarray(0, 10));
  const before = performance.now();
  await Promise.all([
    slow.until(() => false),
    between.until(() => false),
    closeOf(silent.socket),
    closeOf(halfHead.socket),
  ]);
  assert.ok(performance.now() - before < 18_000, 'the default is twenty seconds');
});

test('W12: the default limits are below half a minute', limit, async (t) => {
  const delays: number[] = [];
  const clock = {
    ...systemClock,
    setTimeout(callback: () => void, milliseconds: number) {
      delays.push(milliseconds);
      return systemClock.setTimeout(callback, milliseconds);
    },
  };
  const served = await serve(t, echo, { clock });
  await textClient(t, served.listener.localAddress);
  await frameClient(t, served.listener.localAddress);
  // One for the first request of each; handshakes have their time in the engine (`faults/slowloris`).
  while (delays.length < 2) await pause(5);
  assert.ok(delays.every((delay) => delay < 30_000));
});

/** Dials again while it is refused; the test's own limit bounds it. */
async function onceThereIsRoom<T>(dial: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await dial();
    } catch {
      await pause(20);
    }
  }
}

test('handshakes over the limit are refused and do not block others', limit, async (t) => {
  const served = await serve(t, echo, { maxHandshakes: 3 });
  const stalled = await Promise.all([1, 2, 3].map(() => tcpClient(t, served.listener.localAddress)));
  await pause(20);
  const refused = await tcpClient(t, served.listener.localAddress);
  await closeOf(refused);
  stalled[0]?.resetAndDestroy();
  const connection = await onceThereIsRoom(() => dialHttp2(t, served.listener.localAddress));
  assert.ok(connection.usable);
});

test('one address has no more than its part of the handshakes', limit, async (t) => {
  const served = await serve(t, echo, { maxHandshakesPerAddress: 2 });
  const { port } = served.listener.localAddress;
  const from = (localAddress: string): Promise<Socket> =>
    tcpClient(t, { address: '127.0.0.1', port }, localAddress);
  const [first] = await Promise.all([from('127.0.0.2'), from('127.0.0.2')]);
  await pause(20);
  const refused = await from('127.0.0.2');
  await closeOf(refused);
  const other = await dialHttp2(t, served.listener.localAddress);
  assert.ok(other.usable, 'another address is not hindered');
  first?.resetAndDestroy();
  // A place that was given back is free, once the listener has heard of it.
  const again = await onceThereIsRoom(async () => {
    const socket = await from('127.0.0.2');
    await pause(50);
    if (socket.destroyed) throw new Error('refused');
    return socket;
  });
  assert.equal(again.destroyed, false);
});

test('connections over the limit are refused', limit, async (t) => {
  const served = await serve(t, echo, { maxConnections: 2 });
  const first = await dialHttp2(t, served.listener.localAddress);
  await dialHttp2(t, served.listener.localAddress);
  await closeOf(await tcpClient(t, served.listener.localAddress));
  await first.close();
  await onceThereIsRoom(() => dialHttp2(t, served.listener.localAddress));
});

test('noise, resets and broken TLS harm nobody', limit, async (t) => {
  const served = await serve(t, echo);
  const connection = await dialHttp2(t, served.listener.localAddress);
  const noise = await tcpClient(t, served.listener.localAddress);
  noise.write('GET / HTTP/1.1\r\n\r\n');
  await closeOf(noise);
  for (let index = 0; index < 20; index += 1) {
    const socket = await tcpClient(t, served.listener.localAddress);
    socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02]));
    socket.resetAndDestroy();
  }
  const garbage = await textClient(t, served.listener.localAddress, ['h2']);
  garbage.send('this is no preface of HTTP/2 at all');
  await garbage.until(() => false);
  const foreign = await textClient(t, served.listener.localAddress);
  foreign.send('\x00\x01\x02 nonsense\r\n\r\n');
  assert.match(await foreign.until(() => false), /^HTTP\/1\.1 400 /);
  const tunnel = await textClient(t, served.listener.localAddress);
  tunnel.send(upgradeText());
  await tunnel.until((text) => text.includes('101'));
  tunnel.raw.resetAndDestroy();
  const seen = recorder();
  const stream = connection.open(extendedHead, seen);
  stream.grant(100);
  send(stream, 'fine');
  stream.end();
  assert.deepEqual(await stream.closed, { kind: 'ended' });
});

test('certificates are replaced for new connections only', limit, async (t) => {
  const served = await serve(t, echo);
  const connection = await dialHttp2(t, served.listener.localAddress);
  const seen = recorder();
  const stream = connection.open(extendedHead, seen);
  stream.grant(100);
  await seen.responded;
  const next = testCertificate();
  served.listener.setCertificates([next]);
  assert.throws(() => served.listener.setCertificates([{ cert: 'x', key: 'y' }]), QuicConfigurationError);
  await assert.rejects(dialHttp2(t, served.listener.localAddress));
  const renewed = await dialH2(
    undefined,
    {
      remote: served.listener.localAddress,
      tls: { ...clientTls, trust: { mode: 'ca', ca: next.cert } },
      clock: systemClock,
    },
    {},
    AbortSignal.timeout(60_000),
  );
  await renewed.close();
  send(stream, 'on');
  stream.end();
  assert.deepEqual(await stream.closed, { kind: 'ended' });
});

test('stopAccepting refuses new connections and keeps running ones', limit, async (t) => {
  const served = await serve(t, echo);
  const connection = await dialHttp2(t, served.listener.localAddress);
  served.listener.stopAccepting();
  // One more may come in before the engine hears of it.
  for (let refused = false; !refused; ) {
    refused = await dialHttp2(t, served.listener.localAddress).then(
      (late) => late.close().then(() => false),
      () => true,
    );
  }
  const seen = recorder();
  const stream = connection.open(extendedHead, seen);
  stream.grant(100);
  send(stream, 'on');
  stream.end();
  assert.deepEqual(await stream.closed, { kind: 'ended' });
});

test('Alt-Svc goes out on every final response of both versions', limit, async (t) => {
  const altSvc = 'h3=":4433"; ma=3600';
  const served = await serve(
    t,
    (stream) => {
      stream.respond({ status: stream.request.kind === 'plain' ? 200 : 403, fields: [] });
      stream.end();
    },
    { altSvc },
  );
  const page = {
    kind: 'plain',
    method: 'GET',
    scheme: 'https',
    authority: 'localhost',
    path: '/',
    fields: [],
  } as const;
  for (const dial of [dialHttp1, dialHttp2]) {
    for (const head of [page, extendedHead]) {
      const connection = await dial(t, served.listener.localAddress);
      const seen = recorder();
      const stream = connection.open(head, seen);
      stream.grant(100);
      stream.end();
      const response = await seen.responded;
      assert.deepEqual(
        response.fields.filter(([name]) => name === 'alt-svc'),
        [['alt-svc', altSvc]],
      );
    }
  }
});

test('300 connections from one address, each with a tunnel', { timeout: 120_000 }, async (t) => {
  const served = await serve(t, echo);
  const dials = Array.from({ length: 300 }, (_, index) =>
    (index % 2 === 0 ? dialHttp1 : dialHttp2)(t, served.listener.localAddress),
  );
  for (const connection of await Promise.all(dials)) {
    const seen = recorder();
    const stream = connection.open(extendedHead, seen);
    stream.grant(100);
    await seen.responded;
    send(stream, 'x');
    stream.end();
    assert.deepEqual(await stream.closed, { kind: 'ended' });
    await connection.close();
  }
});

test('closing the listener with everything running leaves nothing behind', limit, async (t) => {
  const listener = await listenTcp(
    {
      engine,
      local: { address: '127.0.0.1', port: 0 },
      tls: { certificates: [certificate], alpn: ['h2', 'http/1.1'] },
      clock: systemClock,
      nextConnectionId: () => 1,
    },
    () => ({
      request(stream) {
        queueMicrotask(() => stream.respond({ status: 200, fields: [] }));
        return recorder();
      },
    }),
  );
  const streams = [];
  for (const dial of [dialHttp1, dialHttp2]) {
    const connection = await dial(t, listener.localAddress);
    const seen = recorder();
    const stream = connection.open(extendedHead, seen);
    stream.grant(100);
    await seen.responded;
    streams.push(stream);
  }
  await tcpClient(t, listener.localAddress);
  const before = performance.now();
  await listener.close();
  assert.ok(performance.now() - before < 8_000);
  for (const stream of streams) {
    const outcome = await stream.closed;
    assert.equal(outcome.kind === 'lost' && outcome.reason, 'peer-closed');
  }
});

test('dialling is aborted, and times out, without a trace', limit, async (t) => {
  const silent = net.createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  t.after(() => silent.close());
  const { port } = silent.address() as net.AddressInfo;
  const options = { remote: { address: '127.0.0.1', port }, tls: clientTls, clock: systemClock };
  await assert.rejects(dialH2(undefined, options, {}, AbortSignal.timeout(50)), { code: 'ERR_ABORTED' });
  await assert.rejects(
    dialH2(undefined, { ...options, handshakeTimeout: 50 }, {}, AbortSignal.timeout(60_000)),
    {
      code: 'ERR_PROXY_TIMEOUT',
    },
  );
  const served = await serve(t, echo, { tls: { certificates: [certificate], alpn: ['http/1.1'] } });
  await assert.rejects(
    dialH2(undefined, { ...options, remote: served.listener.localAddress }, {}, AbortSignal.timeout(60_000)),
    { code: 'ERR_TLS' },
  );
});

test('a field that cannot be sent ends its stream, not the process', limit, async (t) => {
  const served = await serve(t, (stream) => {
    stream.respond({
      status: stream.request.kind === 'plain' ? 200 : 403,
      fields: [
        ['x-bad', 'line\r\nbreak'],
        ['x bad', '1'],
      ],
    });
  });
  const page = { ...extendedHead, kind: 'plain', method: 'GET' } as const;
  for (const dial of [dialHttp1, dialHttp2]) {
    for (const head of [page, extendedHead]) {
      const connection = await dial(t, served.listener.localAddress);
      const outcome = await connection.open(head, recorder()).closed;
      assert.equal(outcome.kind, 'reset');
    }
  }
});

test('a flood of pipelined requests closes its connection', limit, async (t) => {
  const served = await serve(t, () => undefined);
  const client = await textClient(t, served.listener.localAddress);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1_000));
  await client.until(() => false);
  assert.equal(served.streams.length, 64);
});
