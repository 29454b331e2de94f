import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { connect, connectCore } from '../../src/client/connect.js';
import type { DatagramInfo, UdpTunnel } from '../../src/client/udp-tunnel.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { ErrorCode } from '../../src/protocol/failures.js';
import type { CongestionControl } from '../../src/quic/congestion.js';
import { startEcho } from './echo-server.js';
import { slowClock } from './slow-clock.js';
import { startTestProxy } from './test-proxy.js';

const versions = ['h3', 'h2', 'h1'] as const;
const limit = { timeout: 120_000 };

function code(expected: ErrorCode) {
  return (error: unknown): boolean => error instanceof BautaError && error.code === expected;
}

/** Sends and waits for the answer; again when it is lost. */
async function roundTrip(tunnel: UdpTunnel, text: string): Promise<string> {
  for (;;) {
    tunnel.send(text);
    const answer = await Promise.race([
      once(tunnel, 'message'),
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 1_000)),
    ]);
    if (answer) return String(answer[0]);
  }
}

for (const version of versions) {
  test(`${version}: a datagram goes to the target and back`, limit, async () => {
    await using echo = await startEcho();
    await using proxy = await startTestProxy();
    await using client = await connect(proxy.link, { versions: [version] });
    assert.equal(client.info().version, version);
    assert.equal(client.info().nativeDatagrams, version === 'h3');
    await using tunnel = await client.openUdp(echo.target);
    assert.ok(tunnel.maxDatagramSize >= 1_200);
    assert.deepEqual(tunnel.remoteAddress(), { address: '127.0.0.1', port: echo.port, family: 'IPv4' });
    const arrived = once(tunnel, 'message');
    tunnel.send('question');
    const [message, info] = (await arrived) as [Buffer, DatagramInfo];
    assert.equal(message.toString(), 'question');
    assert.deepEqual(info, { address: '127.0.0.1', port: echo.port, family: 'IPv4', size: 8 });
    assert.equal(client.info().tunnels, 1);
    const { sent, received, bytesSent, bytesReceived } = tunnel.stats();
    assert.deepEqual([sent, received, bytesSent, bytesReceived], [1, 1, 8, 8]);
  });

  test(
    `${version}: iteration reads in order, keeps what came unread, and ends with the tunnel`,
    limit,
    async () => {
      await using echo = await startEcho();
      await using proxy = await startTestProxy();
      await using client = await connect(proxy.link, { versions: [version] });
      const tunnel = await client.openUdp({ host: '127.0.0.1', port: echo.port });
      for (const text of ['a', '', 'c']) assert.equal(tunnel.trySend(Buffer.from(text)), 'sent');
      while (tunnel.stats().unread < 3) await new Promise((resolve) => setTimeout(resolve, 5));
      const found: string[] = [];
      for await (const datagram of tunnel) {
        found.push(datagram.toString());
        if (found.length === 3) tunnel.close();
      }
      assert.deepEqual(found, ['a', '', 'c']);
      assert.deepEqual(await tunnel.closed, { kind: 'ended' });
      assert.equal(tunnel.trySend(Buffer.from('late')), 'dropped');
      await assert.rejects(
        new Promise<void>((resolve, reject) =>
          tunnel.send('late', (error) => (error ? reject(error) : resolve())),
        ),
        code('ERR_CLOSED'),
      );
    },
  );

  test(`ERR_CREDENTIALS: ${version}, a wrong password`, limit, async () => {
    await using proxy = await startTestProxy();
    const wrong = proxy.link.replace(':secret@', ':guess@');
    await using client = await connect(wrong, { versions: [version] });
    await assert.rejects(client.openUdp('127.0.0.1:9'), (error) => {
      assert.ok(error instanceof BautaError && !error.message.includes('guess'));
      return error.code === 'ERR_CREDENTIALS' && error.status === 401;
    });
  });

  test(`ERR_TARGET_REFUSED: ${version}, a special address`, limit, async () => {
    await using proxy = await startTestProxy();
    await using client = await connect(proxy.link, { versions: [version] });
    await assert.rejects(client.openUdp('10.0.0.1:53'), (error) => {
      assert.ok(error instanceof BautaError);
      assert.match(error.proxyStatus ?? '', /destination_ip_prohibited/);
      return error.code === 'ERR_TARGET_REFUSED';
    });
  });

  test(`ERR_PIN_MISMATCH: ${version}, another key than the pinned one`, limit, async () => {
    await using proxy = await startTestProxy();
    const other = proxy.link.replace(proxy.pin, `sha256-${'A'.repeat(43)}`);
    await assert.rejects(connect(other, { versions: [version] }), (error) => {
      assert.ok(error instanceof BautaError && error.message.includes(proxy.pin));
      return error.code === 'ERR_PIN_MISMATCH';
    });
  });

  test(
    `ERR_CERTIFICATE_UNKNOWN: ${version}, a self-signed certificate without a pin; its pin is told`,
    limit,
    async () => {
      await using proxy = await startTestProxy();
      const bare = proxy.link.replace(/#.*/, '');
      await assert.rejects(connect(bare, { versions: [version] }), (error) => {
        assert.ok(error instanceof BautaError && error.message.includes(proxy.pin));
        assert.match(error.hint ?? '', /#pin=sha256-/);
        return error.code === 'ERR_CERTIFICATE_UNKNOWN';
      });
    },
  );

  test(`${version}: the proxy's certificate as ca is trusted for its names`, limit, async () => {
    await using echo = await startEcho();
    await using proxy = await startTestProxy();
    const url = proxy.link.replace(/#.*/, '');
    await using client = await connect({ url, ca: proxy.tls.cert }, { versions: [version] });
    await using tunnel = await client.openUdp(echo.target);
    assert.equal(await roundTrip(tunnel, 'by name'), 'by name');
  });
}

test('the default is HTTP/3', limit, async () => {
  await using proxy = await startTestProxy();
  await using client = await connectCore(proxy.link, {}, slowClock());
  assert.equal(client.info().version, 'h3');
  assert.deepEqual(
    client.info().attempts.map((attempt) => attempt.outcome),
    ['won', 'not-tried', 'not-tried'],
  );
});

test('HTTP/1.1: many tunnels at once, each on its own connection', limit, async () => {
  await using echo = await startEcho();
  await using proxy = await startTestProxy();
  await using client = await connect(proxy.link, { versions: ['h1'] });
  const tunnels = await Promise.all(Array.from({ length: 20 }, () => client.openUdp(echo.target)));
  assert.equal(proxy.proxy.info().connections, 20);
  assert.deepEqual(
    await Promise.all(tunnels.map((tunnel, index) => roundTrip(tunnel, `number ${index}`))),
    tunnels.map((_, index) => `number ${index}`),
  );
});

test('HTTP/3 and HTTP/2: many tunnels share one connection', limit, async () => {
  await using echo = await startEcho();
  await using proxy = await startTestProxy();
  for (const version of ['h3', 'h2'] as const) {
    await using client = await connect(proxy.link, { versions: [version] });
    const tunnels = await Promise.all(Array.from({ length: 200 }, () => client.openUdp(echo.target)));
    assert.equal(client.info().connections, 1);
    assert.equal(client.info().tunnels, 200);
    const answers = await Promise.all(
      tunnels.map((tunnel, index) => roundTrip(tunnel, `${version} ${index}`)),
    );
    assert.equal(new Set(answers).size, 200);
  }
});

test('ERR_TARGET_SYNTAX: a target that is none', limit, async () => {
  await using proxy = await startTestProxy();
  await using client = await connect(proxy.link);
  for (const target of [
    '',
    'host',
    'host:0',
    'host:65536',
    '::1:53',
    { host: '', port: 53 },
    { host: 'a', port: 1.5 },
  ]) {
    await assert.rejects(client.openUdp(target), code('ERR_TARGET_SYNTAX'));
  }
});

test(
  'ERR_PAYLOAD_TOO_LARGE: the callback tells of a payload that the tunnel cannot carry',
  limit,
  async () => {
    await using echo = await startEcho();
    await using proxy = await startTestProxy();
    await using client = await connect(proxy.link);
    await using tunnel = await client.openUdp(echo.target);
    const big = Buffer.alloc(tunnel.maxDatagramSize + 1);
    const error = await new Promise((resolve) => tunnel.send(big, resolve));
    assert.ok(code('ERR_PAYLOAD_TOO_LARGE')(error));
    assert.equal(tunnel.trySend(Buffer.alloc(65_528)), 'too-large');
    assert.equal(tunnel.stats().droppedTooLarge, 2);
  },
);

test('ERR_CLOSED: a closed client opens nothing, and its open tunnels end', limit, async () => {
  await using echo = await startEcho();
  await using proxy = await startTestProxy();
  const client = await connect(proxy.link);
  const tunnel = await client.openUdp(echo.target);
  const events: string[] = [];
  const told = (async () => {
    for await (const event of client.events()) events.push(event.type);
  })();
  await client.close();
  assert.deepEqual(await tunnel.closed, { kind: 'ended' });
  assert.deepEqual(await client.closed, { drained: false });
  await assert.rejects(client.openUdp(echo.target), code('ERR_CLOSED'));
  await client.close();
  await told;
  assert.equal(events.at(-1), 'closed');
  assert.equal(client.info().state, 'closed');
});

test('close with drain waits for tunnels that end by themselves', limit, async () => {
  await using echo = await startEcho();
  await using proxy = await startTestProxy();
  const client = await connect(proxy.link);
  const tunnel = await client.openUdp(echo.target);
  setTimeout(() => tunnel.close(), 300);
  const since = performance.now();
  await client.close({ drain: 10_000 });
  assert.ok(performance.now() - since >= 250);
  assert.deepEqual(await client.closed, { drained: true });
});

test('ERR_ABORTED: the signal ends connecting, and opening', limit, async () => {
  await using proxy = await startTestProxy({ authenticate: () => new Promise(() => undefined) });
  await assert.rejects(connect(proxy.link, { signal: AbortSignal.abort() }), code('ERR_ABORTED'));
  await using client = await connect(proxy.link);
  const abort = new AbortController();
  const opening = client.openUdp('127.0.0.1:9', { signal: abort.signal });
  setTimeout(() => abort.abort(), 50);
  await assert.rejects(opening, code('ERR_ABORTED'));
  await assert.rejects(client.openUdp('127.0.0.1:9', { signal: AbortSignal.abort() }), code('ERR_ABORTED'));
  assert.equal(client.info().tunnels, 0);
});

test('ERR_PROXY_TIMEOUT: the proxy does not answer a tunnel request in time', limit, async () => {
  await using proxy = await startTestProxy({ authenticate: () => new Promise(() => undefined) });
  await using client = await connect(proxy.link);
  await assert.rejects(client.openUdp('127.0.0.1:9', { timeout: 100 }), code('ERR_PROXY_TIMEOUT'));
});

test('ERR_USAGE: options that cannot be meant', limit, async () => {
  const link = 'https://127.0.0.1:1/';
  await assert.rejects(connect(link, { versions: [] }), code('ERR_USAGE'));
  await assert.rejects(connect(link, { timeout: 0 }), code('ERR_USAGE'));
  await assert.rejects(connect(link, { maxConnections: 0.5 }), code('ERR_USAGE'));
  const congestion = 'reno' as CongestionControl;
  await assert.rejects(connect(link, { congestion }), code('ERR_USAGE'));
  await assert.rejects(connect({ url: link, pin: ['sha1-x'] }), code('ERR_USAGE'));
  await assert.rejects(connect({ url: `${link}#pin=sha256-${'A'.repeat(43)}`, ca: 'x' }), code('ERR_USAGE'));
  await assert.rejects(connect({ url: link, cert: 'x' }), code('ERR_USAGE'));
  await assert.rejects(
    connect({ url: 'https://a:b@127.0.0.1:1/', token: async () => 'x' }),
    code('ERR_USAGE'),
  );
});

test('ERR_LINK: a link that is none', limit, async () => {
  for (const link of [
    '',
    'http://127.0.0.1/',
    'https://',
    'https://a:b@/',
    'https://127.0.0.1/#pin=sha256-short',
  ]) {
    await assert.rejects(connect(link), code('ERR_LINK'));
  }
});

test('a bearer token is asked for with each tunnel', limit, async () => {
  await using echo = await startEcho();
  await using proxy = await startTestProxy({
    authenticate: async (credential) =>
      credential.scheme === 'bearer' && credential.token.startsWith('good') ? { name: 'robot' } : null,
  });
  const tokens = ['good-1', 'good-2'];
  const url = proxy.link.replace('user:secret@', '');
  await using client = await connect({ url, token: async () => tokens.shift() ?? 'bad' });
  await using first = await client.openUdp(echo.target);
  await using second = await client.openUdp(echo.target);
  assert.equal(await roundTrip(first, 'one'), 'one');
  assert.equal(await roundTrip(second, 'two'), 'two');
  assert.deepEqual(tokens, []);
  await using broken = await connect({ url, token: () => Promise.reject(new Error('no')) });
  await assert.rejects(broken.openUdp(echo.target), code('ERR_CREDENTIALS'));
});
