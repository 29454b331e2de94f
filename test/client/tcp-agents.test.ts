import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { createSecureServer } from 'node:http2';
import https from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { Agent, WebSocket as UndiciWebSocket, request as undiciRequest } from 'undici';
import WebSocket, { WebSocketServer } from 'ws';
import type { Client } from '../../src/client/client.js';
import { connect } from '../../src/client/connect.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { newestConnectTcp } from '../../src/protocol/connect-tcp.js';
import { selfSigned } from '../../src/quic/native/index.js';
import { until } from './chain-hop.js';
import { startScriptedServer } from './scripted-server.js';
import { serveTcpTo } from './tcp-serving.js';
import { startTestProxy } from './test-proxy.js';

const limit = { timeout: 120_000 };
const versions = ['h3', 'h2', 'h1'] as const;
const tls = selfSigned(['localhost', '127.0.0.1'], 2);

interface WebServer extends AsyncDisposable {
  readonly port: number;
  readonly server: Server;
  /** Connections that were accepted. */
  readonly connections: () => number;
}

async function serve(server: Server): Promise<WebServer> {
  let count = 0;
  const sockets = new Set<import('node:net').Socket>();
  server.on('connection', (socket) => {
    count += 1;
    sockets.add(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    server,
    port: (server.address() as AddressInfo).port,
    connections: () => count,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const answer: http.RequestListener = (request, response) => {
  request.resume();
  request.on('end', () => response.end(`${request.method} ${request.url}`));
};

async function get(url: string, options: https.RequestOptions): Promise<string> {
  const request = (url.startsWith('https:') ? https : http).get(url, options);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  return `${response.statusCode} ${await text(response)}`;
}

function agentsOf(client: Client, secure: boolean): http.Agent {
  return secure ? client.httpsAgent : client.httpAgent;
}

for (const version of versions) {
  for (const secure of [false, true]) {
    const scheme = secure ? 'https' : 'http';

    test(
      `${version}: ${scheme} requests by the agent, one connection for those that follow each other`,
      limit,
      async () => {
        await using web = await serve(secure ? https.createServer(tls, answer) : http.createServer(answer));
        await using proxy = await startTestProxy();
        await using client = await connect(proxy.link, { versions: [version] });
        const url = `${scheme}://127.0.0.1:${web.port}`;
        const options = { agent: agentsOf(client, secure), ca: tls.cert };
        for (const path of ['/one', '/two', '/three']) {
          assert.equal(await get(`${url}${path}`, options), `200 GET ${path}`);
        }
        assert.deepEqual([web.connections(), client.info().tunnels], [1, 1]);
        const many = await Promise.all(
          Array.from({ length: 20 }, (_, number) => get(`${url}/${number}`, options)),
        );
        assert.deepEqual(
          many,
          Array.from({ length: 20 }, (_, number) => `200 GET /${number}`),
        );
        await client.close();
        assert.equal(client.info().tunnels, 0);
        await assert.rejects(get(`${url}/late`, options), { code: 'ERR_CLOSED' });
      },
    );
  }

  test(
    `${version}: undici over HTTP/1.1 and HTTP/2, and what TLS has against the target`,
    limit,
    async () => {
      const web2 = createSecureServer({ ...tls, allowHTTP1: true }, (request, response) => {
        response.end(`${request.httpVersion} ${request.url}`);
      });
      await using web = await serve(web2);
      await using proxy = await startTestProxy();
      await using client = await connect(proxy.link, { versions: [version] });
      const url = `https://localhost:${web.port}`;
      for (const allowH2 of [false, true]) {
        const dispatcher = new Agent({ allowH2, connect: client.connector({ allowH2, ca: tls.cert }) });
        for (const path of ['/a', '/b']) {
          const { statusCode, body } = await undiciRequest(`${url}${path}`, { dispatcher });
          assert.deepEqual([statusCode, await body.text()], [200, `${allowH2 ? '2.0' : '1.1'} ${path}`]);
        }
        await dispatcher.close();
      }
      const strict = new Agent({ connect: client.connector() });
      await assert.rejects(undiciRequest(url, { dispatcher: strict }), {
        code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
      });
      const unreachable = undiciRequest('https://10.0.0.1/', { dispatcher: strict });
      await assert.rejects(unreachable, (error) => {
        assert.ok(error instanceof BautaError);
        assert.equal(error.code, 'ERR_TARGET_REFUSED');
        return true;
      });
      await strict.destroy();
      await until(() => client.info().tunnels === 0, 'nothing is left');
    },
  );

  test(`${version}: a WebSocket by ws and one by undici, with and without TLS`, limit, async () => {
    await using proxy = await startTestProxy();
    await using client = await connect(proxy.link, { versions: [version] });
    for (const secure of [false, true]) {
      await using web = await serve(secure ? https.createServer(tls) : http.createServer());
      const sockets = new WebSocketServer({ server: web.server as http.Server });
      sockets.on('connection', (socket) =>
        socket.on('message', (data, binary) => socket.send(data, { binary })),
      );
      const url = `${secure ? 'wss' : 'ws'}://127.0.0.1:${web.port}/`;
      const socket = new WebSocket(url, { agent: agentsOf(client, secure), ca: tls.cert });
      await once(socket, 'open');
      const large = Buffer.alloc(300_000, 'w');
      const answered = once(socket, 'message');
      socket.send(large);
      assert.ok((await answered)[0].equals(large));
      socket.close();
      await once(socket, 'close');

      const dispatcher = new Agent({ connect: client.connector({ ca: tls.cert }) });
      const other = new UndiciWebSocket(url, { dispatcher });
      await once(other, 'open');
      const echoed = once(other, 'message');
      other.send('by undici');
      assert.equal((await echoed)[0].data, 'by undici');
      other.close();
      await once(other, 'close');
      await dispatcher.close();
    }
  });
}

for (const version of ['h3', 'h2'] as const) {
  test(
    `${version}: TLS goes ahead of the proxy's answer once it is known to speak connect-tcp, and again where the connection is lost`,
    limit,
    async () => {
      await using web = await serve(https.createServer(tls, answer));
      const asked: string[] = [];
      const early: Buffer[] = [];
      await using proxy = await startScriptedServer(
        () => undefined,
        undefined,
        (stream, connection) => {
          asked.push(stream.request.kind);
          if (asked.length !== 2) {
            const form = { kind: 'connect-tcp', revision: newestConnectTcp } as const;
            return serveTcpTo(`127.0.0.1:${web.port}`, stream, form);
          }
          // The second is not answered; what comes all the same is kept, and the connection closed.
          queueMicrotask(() => stream.grant(65_536));
          return {
            data(bytes, start, end) {
              early.push(Buffer.from(bytes.slice(start, end)));
              connection.close('shutdown');
            },
            end() {},
            datagram() {},
            drain() {},
            closed() {},
          };
        },
      );
      await using client = await connect(proxy.link, { versions: [version] });
      const agent = client.httpsAgent;
      agent.maxFreeSockets = 0;
      const url = `https://127.0.0.1:${web.port}/`;
      assert.equal(await get(`${url}first`, { agent, ca: tls.cert }), '200 GET /first');
      await until(() => client.info().tunnels === 0, 'it is not kept');
      assert.equal(await get(`${url}second`, { agent, ca: tls.cert }), '200 GET /second');
      assert.deepEqual(asked, ['extended', 'extended', 'extended']);
      // RFC 8446 section 5.1: a handshake record.
      assert.ok(Buffer.concat(early).includes(Buffer.from([0x16, 0x03, 0x01])));
    },
  );
}

test('an https request to another name than the certificate has is refused', limit, async () => {
  const other = selfSigned(['other.example'], 2);
  await using web = await serve(https.createServer(other, answer));
  await using proxy = await startTestProxy();
  await using client = await connect(proxy.link);
  const options = { agent: client.httpsAgent, ca: other.cert };
  await assert.rejects(get(`https://127.0.0.1:${web.port}/`, options), {
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  });
  assert.match(
    await get(`https://127.0.0.1:${web.port}/`, { ...options, servername: 'other.example' }),
    /^200/,
  );
  await until(() => client.info().tunnels === 1, 'the refused one is gone');
});

test('a request has its time limit, and the agent a target that says nothing', limit, async () => {
  await using web = await serve(http.createServer(() => undefined));
  await using proxy = await startTestProxy();
  await using client = await connect(proxy.link);
  const request = http.get(`http://127.0.0.1:${web.port}/`, { agent: client.httpAgent, timeout: 100 });
  await once(request, 'timeout');
  request.destroy();
  await assert.rejects(once(request, 'response'));
  await until(() => client.info().tunnels === 0, 'its tunnel is gone');
});
