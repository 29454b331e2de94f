import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { get } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { after, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { ErrorCode } from '../../src/protocol/failures.js';
import { createProxy } from '../../src/proxy/create-proxy.js';
import { explainTarget } from '../../src/proxy/explain-target.js';
import { listenError } from '../../src/proxy/listen-error.js';
import { createPasswordStore } from '../../src/proxy/password-store.js';
import { QuicConfigurationError, type QuicEngine } from '../../src/quic/engine.js';
import { createNativeEngine, defaultShards, selfSigned } from '../../src/quic/native/index.js';
import { UdpOpenError } from '../../src/quic/udp-socket.js';
import { shards } from '../shards.js';
import { basic } from './core-pair.js';
import { certificate, createDialler, openTunnel, startEcho, startProxy } from './real-proxy.js';
import { until } from './tcp-target.js';

const base = { listen: '127.0.0.1:0', tls: certificate, authenticate: 'anyone' } as const;

const failsWith = (promise: Promise<unknown>, code: ErrorCode): Promise<void> =>
  assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof BautaError, String(error));
    assert.equal(error.code, code);
    return true;
  });

describe('createProxy', { timeout: 600_000 }, () => {
  test('listens on UDP and TCP of the same port, localhost on both families', async () => {
    const { proxy, events } = await startProxy({ listen: ['localhost:0', '127.0.0.2:0'] });
    const ports = (address: string): number[] =>
      proxy.addresses.filter((entry) => entry.address === address).map(({ port }) => port);
    const [udp, tcp] = ports('127.0.0.1');
    assert.ok(udp !== undefined && udp === tcp);
    assert.deepEqual(ports('::1'), [udp, udp]);
    assert.equal(ports('127.0.0.2').length, 2);
    const expected = { addresses: proxy.addresses, shards: shards ?? defaultShards() };
    assert.deepEqual(events[0], { event: 'listening', ...expected });
  });

  test('an engine that dies takes the proxy with it, told as an event', async () => {
    let die: (reason: string) => void = () => undefined;
    const failed = new Promise<string>((resolve) => {
      die = resolve;
    });
    const engine = createNativeEngine();
    const told: string[] = [];
    const proxy = await createProxy({
      ...base,
      engine: { ...engine, failed },
      onEvent: (event) => told.push(event.event === 'failed' ? `failed: ${event.reason}` : event.event),
    });
    die('on purpose');
    await proxy.closed;
    await engine.close();
    assert.deepEqual(told, ['listening', 'failed: on purpose', 'draining', 'closed']);
  });

  test('`:0` is dual stack', async () => {
    const { proxy } = await startProxy({ listen: ':0' });
    const { port } = await startEcho();
    for (const address of ['127.0.0.1', '::1']) {
      const at = { ...proxy, addresses: proxy.addresses.map((entry) => ({ ...entry, address })) };
      for (const version of ['h3', 'h2', 'h1'] as const) {
        const connection = await createDialler().dial(version, at);
        const tunnel = openTunnel(connection, '127.0.0.1', port);
        tunnel.sendText(`${version} at ${address}`);
        assert.equal(String(await tunnel.next()), `${version} at ${address}`);
        await connection.close();
      }
    }
  });

  test('a port in use, by UDP or by TCP, an address of another machine, a file that is no certificate', async () => {
    const udp = createSocket('udp4');
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
    await failsWith(createProxy({ ...base, listen: `127.0.0.1:${udp.address().port}` }), 'ERR_PORT_IN_USE');
    udp.close();
    const tcp = createServer();
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    const { port } = tcp.address() as AddressInfo;
    await failsWith(createProxy({ ...base, listen: `127.0.0.1:${port}` }), 'ERR_PORT_IN_USE');
    tcp.close();
    await failsWith(createProxy({ ...base, listen: '203.0.113.1:0' }), 'ERR_ADDRESS_UNAVAILABLE');
    const other = selfSigned(['other'], 1);
    await failsWith(
      createProxy({ ...base, tls: { cert: 'nonsense', key: certificate.key } }),
      'ERR_CERTIFICATE_FILE',
    );
    await failsWith(
      createProxy({ ...base, tls: { cert: certificate.cert, key: other.key } }),
      'ERR_CERTIFICATE_FILE',
    );
  });

  test('a port that needs a privilege is told as such', () => {
    const privileged = listenError(new QuicConfigurationError('permission denied', 'EACCES'), 'port 443');
    assert.equal(privileged.code, 'ERR_PORT_PRIVILEGE');
  });

  test('strangers are shown the door after their time, and at once after many guesses', async () => {
    const store = createPasswordStore([['ada', 'secret']]);
    const { proxy } = await startProxy({
      authenticate: store.authenticate,
      limits: { strangerTimeout: 300 },
    });
    const { port } = await startEcho();
    const dialler = createDialler();
    for (const version of ['h3', 'h2', 'h1'] as const) {
      const guest = await dialler.dial(version, proxy);
      const tunnel = openTunnel(guest, '127.0.0.1', port, basic('ada', 'secret'));
      await tunnel.ready;
      const stranger = await dialler.dial(version, proxy);
      const began = performance.now();
      await stranger.closed;
      assert.ok(performance.now() - began < 10_000, version);
      tunnel.sendText('still welcome');
      assert.equal(String(await tunnel.next()), 'still welcome');
      await guest.close();
      if (version === 'h1') continue;
      const guessing = await dialler.dial(version, proxy);
      for (let guess = 0; guess < 12 && guessing.usable; guess++) {
        const { ready } = openTunnel(guessing, '127.0.0.1', port, basic('ada', `guess ${guess}`));
        await ready.catch(() => undefined);
      }
      await guessing.closed;
    }
  });

  test('options that cannot be meant are refused at the start', async () => {
    await failsWith(createProxy({ ...base, listen: 'localhost' }), 'ERR_USAGE');
    await failsWith(createProxy({ ...base, listen: '127.0.0.1:70000' }), 'ERR_USAGE');
    await failsWith(createProxy({ ...base, listen: [] }), 'ERR_USAGE');
    await failsWith(createProxy({ ...base, template: '/no/variables' }), 'ERR_TEMPLATE');
    await failsWith(createProxy({ ...base, targets: { allow: ['example.com'] } }), 'ERR_USAGE');
    await failsWith(createProxy({ ...base, targets: { deny: ['10.0.0.0/33'] } }), 'ERR_USAGE');
    await failsWith(createProxy({ ...base, publicAddress: 'example.com' }), 'ERR_USAGE');
    await failsWith(createProxy({ ...base, limits: { tunnels: 0 } }), 'ERR_USAGE');
    await failsWith(createProxy({ ...base, limits: { openTimeout: Number.NaN } }), 'ERR_USAGE');
    await failsWith(createProxy({ ...base, nameServers: ['not an address'] }), 'ERR_USAGE');
  });

  test('S10: a name server that never answers is dns_timeout, and delays nobody else', async () => {
    const silent = createSocket('udp4');
    await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve));
    after(() => silent.close());
    const { proxy } = await startProxy({
      nameServers: [`127.0.0.1:${silent.address().port}`],
      limits: { nameTimeout: 5_000 },
    });
    const { port } = await startEcho();
    const connection = await createDialler().dial('h3', proxy);
    const roundTrips = async (tunnel: ReturnType<typeof openTunnel>): Promise<number> => {
      const times: number[] = [];
      for (let round = 0; round < 200; round++) {
        const began = performance.now();
        tunnel.sendText('ping');
        await tunnel.next();
        times.push(performance.now() - began);
      }
      return times.sort((a, b) => a - b)[100] ?? 0;
    };
    const quick = openTunnel(connection, '127.0.0.1', port);
    await quick.ready;
    const before = await roundTrips(quick);
    const slow = Array.from({ length: 100 }, (_, index) => openTunnel(connection, `slow${index}.test`, 53));
    await until(() => proxy.info().lookups > 0, 'the look-ups');
    const during = await roundTrips(quick);
    assert.ok(proxy.info().lookups > 0, 'the look-ups are still running');
    const another = openTunnel(connection, '127.0.0.1', port);
    await another.ready;
    assert.ok(proxy.info().lookups > 0, 'another tunnel opens while they run');
    assert.ok(during < before * 3 + 50, `median ${before} ms before, ${during} ms during`);
    await assert.rejects(
      slow[0]?.ready ?? Promise.resolve(),
      (error: unknown) =>
        error instanceof BautaError && error.status === 504 && error.code === 'ERR_TARGET_NAME_TIMEOUT',
    );
    await connection.close();
  });

  test('port and descriptor exhaustion is reported, not hung', async () => {
    const engine = createNativeEngine();
    after(() => engine.close());
    let problem: 'no-ports' | 'no-descriptors' = 'no-ports';
    const exhausted: QuicEngine = {
      ...engine,
      udp: { open: () => Promise.reject(new UdpOpenError(problem, 'EMFILE')) },
    };
    const { proxy } = await startProxy({ engine: exhausted });
    const connection = await createDialler().dial('h3', proxy);
    for (problem of ['no-ports', 'no-descriptors'] as const) {
      await assert.rejects(
        openTunnel(connection, '127.0.0.1', 53).ready,
        (error: unknown) =>
          error instanceof BautaError && error.status === 503 && error.code === 'ERR_PORTS_EXHAUSTED',
      );
    }
    await connection.close();
    await proxy.close();
  });

  test('users, targets and certificates are replaced while a tunnel runs', async () => {
    const store = createPasswordStore([['ada', 'secret']]);
    const { proxy } = await startProxy({ authenticate: store.authenticate });
    const { port } = await startEcho();
    const dialler = createDialler();
    const connection = await dialler.dial('h3', proxy);
    const tunnel = openTunnel(connection, '127.0.0.1', port, basic('ada', 'secret'));
    await tunnel.ready;

    store.replace([['bob', 'other']]);
    proxy.setAuthenticate(store.authenticate);
    proxy.setTargets({});
    const renewed = selfSigned(['localhost', '127.0.0.1'], 1);
    proxy.setCertificates(renewed);
    tunnel.sendText('still here');
    assert.equal(String(await tunnel.next()), 'still here');

    const status = async (name: string, password: string): Promise<number | undefined> =>
      openTunnel(connection, '127.0.0.1', port, basic(name, password)).ready.then(
        ({ status: given }) => given,
        (error: unknown) => (error instanceof BautaError ? error.status : undefined),
      );
    assert.equal(await status('ada', 'secret'), 401);
    assert.equal(await status('bob', 'other'), 403, 'the new users, and the new targets');
    const leaf = await leafOf(proxy.addresses.find(({ transport }) => transport === 'tcp')?.port ?? 0);
    assert.ok(renewed.cert.includes(leaf.toString('base64').slice(0, 60)), 'new handshakes get the new one');
    assert.throws(
      () => proxy.setCertificates({ cert: 'nonsense', key: 'nonsense' }),
      (error: unknown) => error instanceof BautaError && error.code === 'ERR_CERTIFICATE_FILE',
    );
    await connection.close();
  });

  test('draining: a running tunnel runs on, then ends in order, and the proxy closes', async () => {
    for (const version of ['h3', 'h2', 'h1'] as const) {
      const { proxy, events } = await startProxy();
      const { port } = await startEcho();
      let draining = false;
      const connection = await createDialler().dial(version, proxy, {
        draining: () => {
          draining = true;
        },
      });
      const tunnel = openTunnel(connection, '127.0.0.1', port);
      await tunnel.ready;
      const drained = proxy.drain(400);
      await new Promise((resolve) => setTimeout(resolve, 100));
      // HTTP/1.1 has no word for it once the connection is a tunnel.
      assert.equal(draining, version !== 'h1', version);
      tunnel.sendText('still');
      assert.equal(String(await tunnel.next()), 'still');
      assert.equal(proxy.info().state, 'draining');
      await drained;
      assert.deepEqual(await tunnel.closed, { kind: 'ended' }, version);
      await proxy.closed;
      assert.equal(proxy.info().state, 'closed');
      assert.equal(events.at(-1)?.event, 'closed');
      await connection.close();
    }
  });

  test('`await using` closes it, and its events end', async () => {
    const seen: string[] = [];
    let reading: Promise<void> | undefined;
    {
      await using proxy = await createProxy(base);
      reading = (async () => {
        for await (const event of proxy.events()) seen.push(event.event);
      })();
    }
    await reading;
    assert.equal(seen.at(-1), 'closed');
  });

  test('a browser gets a page over HTTP/2 and HTTP/1.1, with Alt-Svc for HTTP/3', async () => {
    const { proxy } = await startProxy();
    const port = proxy.addresses[0]?.port ?? 0;
    const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: certificate.cert });
    const [status, altSvc] = await new Promise<[unknown, unknown]>((resolve, reject) => {
      session.on('error', reject);
      const stream = session.request({ ':path': '/' });
      stream.on('response', (headers) => resolve([headers[':status'], headers['alt-svc']]));
      stream.resume();
    });
    session.close();
    assert.equal(status, 200);
    const expected = new RegExp(`^h3=":${port}"; ma=\\d+$`);
    assert.match(String(altSvc), expected);
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      get(`https://127.0.0.1:${port}/`, { ca: certificate.cert, agent: false }, resolve).on('error', reject);
    });
    answer.resume();
    assert.equal(answer.statusCode, 200);
    assert.match(answer.headers['alt-svc'] ?? '', expected);
    assert.doesNotMatch(JSON.stringify(answer.headers), /bauta|node/i);
  });

  test('nothing is left when tunnels and connections are gone', async () => {
    const { proxy } = await startProxy();
    const { port } = await startEcho();
    for (const version of ['h3', 'h2'] as const) {
      const connection = await createDialler().dial(version, proxy);
      for (let round = 0; round < 5; round++) {
        const tunnels = Array.from({ length: 100 }, () => openTunnel(connection, '127.0.0.1', port));
        await Promise.all(tunnels.map(({ ready }) => ready));
        for (const tunnel of tunnels) {
          if (round % 2) tunnel.end();
          else tunnel.reset('cancelled');
        }
        await Promise.all(tunnels.map(({ closed }) => closed));
      }
      await connection.close();
    }
    for (let waited = 0; waited < 50 && proxy.info().connections > 0; waited++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const { connections, tunnels } = proxy.info();
    assert.deepEqual([connections, tunnels.open, tunnels.opening, tunnels.opened], [0, 0, 0, 1_000]);
  });
});

describe('explaining a target', { timeout: 600_000 }, () => {
  const explain = (target: string, targets = {}) => explainTarget(target, { targets });

  test('says what would be decided, and why', async () => {
    const inside = await explain('127.0.0.1:53');
    assert.deepEqual([inside.allowed, inside.addresses[0]?.reason], [false, 'loopback, 127.0.0.0/8']);
    const lifted = await explain('127.0.0.1:53', { allow: ['127.0.0.0/8'] });
    assert.deepEqual([lifted.allowed, lifted.target], [true, { host: '127.0.0.1', port: 53 }]);
    const denied = await explain('localhost', { allow: ['127.0.0.0/8'], deny: ['localhost'] });
    assert.deepEqual([denied.allowed, denied.reason], [false, 'denied by localhost']);
    const name = await explain('localhost:53', { allow: ['localhost@127.0.0.0/8'] });
    assert.deepEqual(
      name.addresses.map(({ address, allowed }) => [address, allowed]),
      [
        ['::1', false],
        ['127.0.0.1', true],
      ],
    );
    await failsWith(explain('not a target'), 'ERR_TARGET_SYNTAX');
  });
});

/** The certificate that a new TLS handshake is shown. */
function leafOf(port: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connectTls(
      { port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] },
      () => {
        resolve(socket.getPeerCertificate().raw);
        socket.destroy();
      },
    );
    socket.on('error', reject);
  });
}
