import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createSecureServer } from 'node:http2';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { startClient } from '../../src/client/client-core.js';
import { connect } from '../../src/client/connect.js';
import { createEventFeed } from '../../src/client/event-feed.js';
import { accessOf } from '../../src/client/hop.js';
import { interleaveFamilies, resolveHost } from '../../src/client/resolve-host.js';
import { systemClock, systemRandom } from '../../src/clock/system-clock.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { newestConnectTcp } from '../../src/protocol/connect-tcp.js';
import type { ErrorCode } from '../../src/protocol/failures.js';
import { createNativeEngine, selfSigned, spkiPin } from '../../src/quic/native/index.js';
import { createHttpDriver } from '../../src/upstream/http-driver.js';
import { makeCertificate } from '../http/tls/certificates.js';
import { startScriptedServer } from './scripted-server.js';
import { startTestProxy } from './test-proxy.js';

const versions = ['h3', 'h2', 'h1'] as const;
const limit = { timeout: 120_000 };

function code(expected: ErrorCode) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof BautaError);
    assert.equal(error.code, expected, error.message);
    return true;
  };
}

async function listening(server: Server, port = 0): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

for (const version of versions) {
  test(`ERR_CERTIFICATE_NAME: ${version}, a trusted certificate for another name`, limit, async () => {
    const tls = makeCertificate({ names: ['other.example'] });
    await using server = await startScriptedServer(() => undefined, tls);
    const url = `https://127.0.0.1:${server.port}/`;
    await assert.rejects(
      connect({ url, ca: tls.cert }, { versions: [version] }),
      code('ERR_CERTIFICATE_NAME'),
    );
  });

  test(`ERR_CERTIFICATE_EXPIRED: ${version}, a trusted certificate that has expired`, limit, async () => {
    const tls = makeCertificate({ names: ['127.0.0.1'], from: -9, to: -2 });
    await using server = await startScriptedServer(() => undefined, tls);
    const url = `https://127.0.0.1:${server.port}/`;
    await assert.rejects(
      connect({ url, ca: tls.cert }, { versions: [version] }),
      code('ERR_CERTIFICATE_EXPIRED'),
    );
  });
}

test('ERR_TLS: something else than TLS answers', limit, async () => {
  const server = createServer((socket) => socket.end('SSH-2.0-nothing\r\n'));
  const port = await listening(server);
  for (const version of ['h2', 'h1'] as const) {
    await assert.rejects(connect(`https://127.0.0.1:${port}/`, { versions: [version] }), code('ERR_TLS'));
  }
  server.close();
});

test('ERR_PROXY_PROTOCOL: something else than HTTP/2 speaks inside TLS', limit, async () => {
  const tls = selfSigned(['127.0.0.1'], 1);
  const server = createTlsServer({ ...tls, ALPNProtocols: ['h2'] }, (socket) => {
    socket.on('error', () => undefined);
    socket.write('220 mail.example ESMTP\r\n'.repeat(20));
  });
  const port = await listening(server);
  const link = `https://127.0.0.1:${port}/#pin=${spkiPin(tls.cert)}`;
  const refused = connect(link, { versions: ['h2'] });
  await assert.rejects(refused, code('ERR_PROXY_PROTOCOL')).finally(() => server.close());
});

test('ERR_VERSION_UNSUPPORTED: an HTTP/2 server without extended CONNECT', limit, async () => {
  const tls = selfSigned(['127.0.0.1'], 1);
  const server = createSecureServer(tls);
  const port = await listening(server);
  const link = `https://127.0.0.1:${port}/#pin=${spkiPin(tls.cert)}`;
  const versions = ['h2'] as const;
  await assert.rejects(connect(link, { versions, tcp: 'connect-tcp' }), code('ERR_VERSION_UNSUPPORTED'));
  // It can still carry classic CONNECT.
  await using client = await connect(link, { versions });
  await assert.rejects(client.openUdp('127.0.0.1:9'), code('ERR_VERSION_UNSUPPORTED'));
  server.close();
});

test('ERR_UDP_BLOCKED: TCP answers and cannot carry a tunnel, UDP says nothing', limit, async () => {
  const tls = selfSigned(['127.0.0.1'], 1);
  const server = createSecureServer(tls);
  const port = await listening(server);
  const silent = createSocket('udp4').bind(port, '127.0.0.1');
  await once(silent, 'listening');
  const link = `https://127.0.0.1:${port}/#pin=${spkiPin(tls.cert)}`;
  const options = { versions: ['h3', 'h2'], tcp: 'connect-tcp', timeout: 700 } as const;
  await assert.rejects(connect(link, options), code('ERR_UDP_BLOCKED'));
  silent.close();
  server.close();
});

test('UDP blocked while TCP works: HTTP/2 is taken, and info says why', limit, async () => {
  await using proxy = await startTestProxy();
  // A port where only TCP leads on to the proxy.
  const sockets = new Set<import('node:net').Socket>();
  const relay = createServer((socket) => {
    const onward = new (socket.constructor as typeof import('node:net').Socket)();
    onward.connect(proxy.port, '127.0.0.1');
    for (const end of [socket, onward]) {
      sockets.add(end);
      end.on('error', () => undefined);
    }
    socket.pipe(onward).pipe(socket);
  });
  const port = await listening(relay);
  const silent = createSocket('udp4').bind(port, '127.0.0.1');
  await once(silent, 'listening');
  {
    await using client = await connect(proxy.link.replace(`:${proxy.port}/`, `:${port}/`));
    const info = client.info();
    assert.deepEqual([info.version, info.udpBlocked], ['h2', true]);
    const [h3] = info.attempts;
    assert.ok(h3?.outcome === 'failed' && h3.error.code === 'ERR_UDP_BLOCKED');
  }
  silent.close();
  for (const socket of sockets) socket.destroy();
  relay.close();
});

test('ERR_PROXY_NAME: a name that cannot be resolved, told once for all versions', limit, async () => {
  await assert.rejects(connect('https://nobody.invalid/'), (error) => {
    assert.ok(error instanceof BautaError && error.message.split('nobody.invalid').length === 2);
    return code('ERR_PROXY_NAME')(error);
  });
});

test('the first address that answers is taken, whatever else the name has', limit, async () => {
  await using proxy = await startTestProxy();
  for (const version of versions) {
    const engine = createNativeEngine();
    const client = await startClient(
      {
        access: { ...accessOf(proxy.link), host: 'proxy.example' },
        before: [],
        hopsBefore: () => [],
        hop: undefined,
        versions: [version],
        maxConnections: 4,
        tcp: 'auto',
        connectTcp: newestConnectTcp,
        timeout: 5_000,
        driver: createHttpDriver({
          clock: systemClock,
          engine: () => engine,
          // The first is this machine too, and nobody listens there.
          resolve: async () => ['127.0.0.2', '127.0.0.1'],
        }),
        ground: {
          sockets: () => engine.udp,
          tcp: () => engine.tcp,
          hold: () => undefined,
          close: () => engine.close(),
        },
        feed: createEventFeed(),
        clock: systemClock,
        random: Math.random,
        randomBytes: systemRandom,
      },
      new AbortController().signal,
    );
    assert.equal(client.info().remoteAddress.address, '127.0.0.1');
    await client.close();
  }
});

test('addresses are tried with the families in turns', async () => {
  assert.deepEqual(interleaveFamilies(['::1', '::2', '::3', '1.1.1.1', '2.2.2.2']), [
    '::1',
    '1.1.1.1',
    '::2',
    '2.2.2.2',
    '::3',
  ]);
  assert.deepEqual(interleaveFamilies(['1.1.1.1', '::1', '::2', '::3']), ['1.1.1.1', '::1', '::2', '::3']);
  assert.deepEqual(interleaveFamilies([]), []);
  assert.deepEqual(await resolveHost('::1', new AbortController().signal), ['::1']);
});
