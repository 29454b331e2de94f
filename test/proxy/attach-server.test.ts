import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2, createSecureServer, type Http2SecureServer } from 'node:http2';
import { createServer, get, type Server as HttpsServer, request } from 'node:https';
import { after, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { createProxy } from '../../src/proxy/create-proxy.js';
import type { ProxyOptions } from '../../src/proxy/options.js';
import { createPasswordStore } from '../../src/proxy/password-store.js';
import { basic } from './core-pair.js';
import { certificate, createDialler, openTunnel, startEcho } from './real-proxy.js';
import { until } from './tcp-target.js';

const { cert, key } = certificate;
const answer = (
  _request: unknown,
  response: { writeHead(status: number): { end(text: string): void } },
): void => response.writeHead(200).end('my own page');

async function listening<T extends Http2SecureServer | HttpsServer>(server: T): Promise<T> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => {
    server.close();
    if ('closeAllConnections' in server) server.closeAllConnections();
  });
  return server;
}

const http2Server = (): Promise<Http2SecureServer> =>
  listening(createSecureServer({ cert, key, allowHTTP1: true }, answer));
const httpsServer = (): Promise<HttpsServer> => listening(createServer({ cert, key }, answer));

async function attach(server: Http2SecureServer | HttpsServer, options: Partial<ProxyOptions> = {}) {
  const proxy = await createProxy({
    listen: server,
    authenticate: 'anyone',
    targets: { allow: ['127.0.0.0/8'] },
    ...options,
  });
  after(() => proxy.close());
  return proxy;
}

const portOf = (server: HttpsServer | Http2SecureServer): number => {
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return address.port;
};

async function pageOverHttp1(port: number): Promise<string> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`https://127.0.0.1:${port}/`, { ca: cert, agent: false }, resolve).on('error', reject);
  });
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return text;
}

function pageOverHttp2(port: number): Promise<string> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: cert });
  return new Promise<string>((resolve, reject) => {
    session.on('error', reject);
    const stream = session.request({ ':path': '/' });
    let text = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      text += chunk;
    });
    stream.on('end', () => {
      session.close();
      resolve(text);
    });
  });
}

describe('a proxy attached to a server', { timeout: 600_000 }, () => {
  test('a session that is older than the proxy is forgotten too when it closes', async () => {
    const settings = { enableConnectProtocol: true };
    const server = await listening(createSecureServer({ cert, key, settings }, answer));
    const { port } = await startEcho();
    const session = connectHttp2(`https://127.0.0.1:${portOf(server)}`, { ca: cert });
    after(() => session.destroy());
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    const proxy = await attach(server);
    const stream = session.request(
      {
        ':method': 'CONNECT',
        ':protocol': 'connect-udp',
        ':path': `/.well-known/masque/udp/127.0.0.1/${port}/`,
        'capsule-protocol': '?1',
      },
      { endStream: false },
    );
    stream.on('error', () => undefined);
    const status = await new Promise((resolve) =>
      stream.once('response', (headers) => resolve(headers[':status'])),
    );
    assert.equal(status, 200);
    assert.equal(proxy.info().connections, 1);
    session.destroy();
    for (let round = 0; round < 3_000 && proxy.info().connections > 0; round++) await pause(20);
    assert.deepEqual([proxy.info().connections, proxy.info().tunnels.open], [0, 0]);
  });

  for (const [version, name, create] of [
    ['h2', 'node:http2', http2Server],
    ['h1', 'node:http2 with allowHTTP1', http2Server],
    ['h1', 'node:https', httpsServer],
  ] as const) {
    test(`${name} over ${version}: tunnels beside the server's own pages`, async () => {
      const server = await create();
      const proxy = await attach(server);
      const { port } = await startEcho();
      const connection = await createDialler().dial(version, proxy);
      const tunnel = openTunnel(connection, '127.0.0.1', port);
      tunnel.sendText('early');
      assert.equal((await tunnel.ready).status, 200);
      assert.equal(String(await tunnel.next()), 'early');
      const page = version === 'h2' ? pageOverHttp2 : pageOverHttp1;
      assert.equal(await page(portOf(server)), 'my own page');
      tunnel.end();
      assert.deepEqual(await tunnel.closed, { kind: 'ended' });
      await until(() => proxy.info().tunnels.open === 0, 'no tunnel is left');
      await connection.close();
    });

    test(`${name} over ${version}: refusals, and the end of the proxy without the server's`, async () => {
      const server = await create();
      const store = createPasswordStore([['ada', 'secret']]);
      const proxy = await attach(server, { authenticate: store.authenticate });
      const { port } = await startEcho();
      const dialler = createDialler();
      const unknown = await dialler.dial(version, proxy);
      const stranger = openTunnel(unknown, '127.0.0.1', port);
      await assert.rejects(
        stranger.ready,
        (error: unknown) => error instanceof BautaError && error.status === 401,
      );
      const connection = await dialler.dial(version, proxy);
      const tunnel = openTunnel(connection, '127.0.0.1', port, basic('ada', 'secret'));
      await tunnel.ready;
      const draining = proxy.drain(300);
      tunnel.sendText('still');
      assert.equal(String(await tunnel.next()), 'still');
      await draining;
      assert.deepEqual(await tunnel.closed, { kind: 'ended' });
      assert.equal(proxy.info().connections, 0);
      const page = version === 'h2' ? pageOverHttp2 : pageOverHttp1;
      assert.equal(await page(portOf(server)), 'my own page');
      await Promise.all([unknown.close(), connection.close()]);
    });
  }

  test('a request listener that comes later does not disturb a tunnel over h2', async () => {
    const server = await listening(createSecureServer({ cert, key }));
    const proxy = await attach(server);
    server.on('request', answer);
    const { port } = await startEcho();
    const connection = await createDialler().dial('h2', proxy);
    const tunnel = openTunnel(connection, '127.0.0.1', port);
    await tunnel.ready;
    tunnel.end();
    assert.deepEqual(await tunnel.closed, { kind: 'ended' });
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(await pageOverHttp2(portOf(server)), 'my own page');
    await connection.close();
  });

  test('an upgrade to something else is refused, or left to the server', async () => {
    const server = await httpsServer();
    await attach(server);
    const ask = (): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const asked = request({
          host: '127.0.0.1',
          port: portOf(server),
          ca: cert,
          agent: false,
          headers: { connection: 'upgrade', upgrade: 'something' },
        });
        asked.on('response', (response) => resolve(response.statusCode));
        asked.on('upgrade', (response, socket) => {
          resolve(response.statusCode);
          socket.destroy();
        });
        asked.on('error', reject);
        asked.end();
      });
    assert.equal(await ask(), 501);
    server.on('upgrade', (_request, socket) => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: something\r\n\r\n');
    });
    assert.equal(await ask(), 101);
  });

  test('TLS options do not go with it', async () => {
    const server = await httpsServer();
    await assert.rejects(
      createProxy({ listen: server, tls: certificate, authenticate: 'anyone' }),
      (error: unknown) => error instanceof BautaError && error.code === 'ERR_USAGE',
    );
    await assert.rejects(
      createProxy({ listen: '127.0.0.1:0', authenticate: 'anyone' }),
      (error: unknown) => error instanceof BautaError && error.code === 'ERR_USAGE',
    );
  });
});
