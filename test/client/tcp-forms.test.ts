import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createSecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect as connectSocket } from 'node:net';
import { test } from 'node:test';
import type { Client } from '../../src/client/client.js';
import type { ClientEvent } from '../../src/client/client-events.js';
import { connect } from '../../src/client/connect.js';
import type { RequestHead } from '../../src/http/request.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { connectTcpRevisionOf } from '../../src/protocol/connect-tcp.js';
import type { ErrorCode } from '../../src/protocol/failures.js';
import { fieldValues } from '../../src/protocol/fields.js';
import { selfSigned, spkiPin } from '../../src/quic/native/index.js';
import { until } from './chain-hop.js';
import { type ScriptedServer, startScriptedServer } from './scripted-server.js';
import { serveTcpTo } from './tcp-serving.js';
import { startTcpEcho } from './tcp-target.js';

const versions = ['h3', 'h2', 'h1'] as const;
const limit = { timeout: 120_000 };
const basic = `Basic ${Buffer.from('user:secret').toString('base64')}`;

interface ClassicProxy extends ScriptedServer {
  readonly asked: RequestHead[];
}

/** Knows classic CONNECT, and answers any other request with this status, or resets it. */
async function startClassicProxy(target: string, other: number | 'reset'): Promise<ClassicProxy> {
  const asked: RequestHead[] = [];
  const server = await startScriptedServer(
    (stream) => {
      if (other === 'reset') stream.reset('message-error');
      else {
        stream.respond({ status: other, fields: [['content-length', '0']] });
        stream.end();
      }
    },
    undefined,
    (stream) => {
      asked.push(stream.request);
      if (stream.request.kind !== 'connect') return undefined;
      const [credentials] = fieldValues(stream.request.fields, 'proxy-authorization');
      if (credentials === basic) return serveTcpTo(target, stream, { kind: 'connect' });
      queueMicrotask(() => {
        stream.respond({
          status: 407,
          fields: [
            ['proxy-authenticate', 'Basic realm="x"'],
            ['content-length', '0'],
          ],
        });
        stream.end();
      });
      return { data() {}, end() {}, datagram() {}, drain() {}, closed() {} };
    },
  );
  return { ...server, asked };
}

async function exchange(client: Client, target: string, text: string): Promise<void> {
  const tunnel = await client.openTcp(target);
  tunnel.end(text);
  let answer = '';
  for await (const chunk of tunnel) answer += String(chunk);
  assert.equal(answer, text);
  assert.deepEqual(await tunnel.outcome, { kind: 'ended' });
}

function collect(client: Client): ClientEvent[] {
  const events: ClientEvent[] = [];
  void (async () => {
    for await (const event of client.events()) events.push(event);
  })();
  return events;
}

function code(expected: ErrorCode, status?: number) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof BautaError);
    assert.deepEqual([error.code, error.status], [expected, status], error.message);
    return true;
  };
}

for (const version of versions) {
  for (const status of [400, 404, 405, 407, 426, 501, 'reset'] as const) {
    test(
      `${version}: a proxy that knows CONNECT only, and answers connect-tcp with ${status}, is asked by CONNECT from then on`,
      limit,
      async () => {
        await using echo = await startTcpEcho();
        await using proxy = await startClassicProxy(echo.target, status);
        await using client = await connect(proxy.link, { versions: [version] });
        assert.equal(client.info().tcp, undefined);
        const events = collect(client);
        await exchange(client, echo.target, 'first');
        await exchange(client, echo.target, 'second');
        assert.deepEqual(
          proxy.asked.map(({ kind }) => kind),
          ['extended', 'connect', 'connect'],
        );
        const [extended, classic] = proxy.asked;
        assert.ok(extended?.kind === 'extended' && classic?.kind === 'connect');
        assert.equal(extended.protocol, 'connect-tcp-12');
        assert.equal(extended.path, `/.well-known/masque/tcp/127.0.0.1/${echo.port}/`);
        assert.deepEqual(fieldValues(extended.fields, 'authorization'), [basic]);
        assert.equal(classic.authority, echo.target);
        assert.deepEqual(fieldValues(classic.fields, 'authorization'), []);
        assert.equal(client.info().tcp, 'connect');
        await until(() => events.some((event) => event.type === 'tcp'), 'the event comes');
        const told = events.filter((event) => event.type === 'tcp');
        assert.equal(told.length, 1);
        assert.equal(told[0]?.form, 'connect');
        assert.ok(told[0].why instanceof BautaError);
      },
    );
  }

  test(`ERR_CREDENTIALS: ${version}, 407 to classic CONNECT`, limit, async () => {
    await using echo = await startTcpEcho();
    await using proxy = await startClassicProxy(echo.target, 501);
    const link = proxy.link.replace(':secret@', ':guess@');
    for (const tcp of ['connect', 'auto'] as const) {
      await using client = await connect(link, { versions: [version], tcp });
      await assert.rejects(client.openTcp(echo.target), code('ERR_CREDENTIALS', 407));
      assert.equal(client.info().tcp, 'connect');
      // After a refusal the next one is asked as well, on HTTP/1.1 on a connection of its own.
      await assert.rejects(client.openTcp(echo.target), code('ERR_CREDENTIALS', 407));
    }
  });

  test(
    `${version}: with connect-tcp asked for, CONNECT is not tried; with CONNECT, connect-tcp is not`,
    limit,
    async () => {
      await using echo = await startTcpEcho();
      await using proxy = await startClassicProxy(echo.target, 501);
      await using strict = await connect(proxy.link, { versions: [version], tcp: 'connect-tcp' });
      await assert.rejects(strict.openTcp(echo.target), code('ERR_PROTOCOL_UNSUPPORTED', 501));
      await using classic = await connect(proxy.link, { versions: [version], tcp: 'connect' });
      await exchange(classic, echo.target, 'at once');
      assert.deepEqual(
        proxy.asked.map(({ kind }) => kind),
        ['extended', 'connect'],
      );
    },
  );

  test(
    `${version}: a server that knows neither is told as what it said of connect-tcp, and asked again by both`,
    limit,
    async () => {
      const asked: string[] = [];
      await using server = await startScriptedServer((stream) => {
        asked.push(stream.request.kind);
        stream.respond({
          status: stream.request.kind === 'connect' ? 405 : 404,
          fields: [['content-length', '0']],
        });
        stream.end();
      });
      await using client = await connect(server.link, { versions: [version] });
      await assert.rejects(client.openTcp('127.0.0.1:9'), code('ERR_NOT_FOUND', 404));
      await assert.rejects(client.openTcp('127.0.0.1:9'), code('ERR_NOT_FOUND', 404));
      assert.deepEqual(asked, ['extended', 'connect', 'extended', 'connect']);
      assert.equal(client.info().tcp, undefined);
    },
  );

  test(`${version}: an older revision of connect-tcp can be chosen`, limit, async () => {
    await using echo = await startTcpEcho();
    const revision = connectTcpRevisionOf('connect-tcp-07');
    assert.ok(revision);
    await using server = await startScriptedServer(
      (stream) => stream.reset('internal-error'),
      undefined,
      (stream) =>
        stream.request.kind === 'extended' && stream.request.protocol === 'connect-tcp-07'
          ? serveTcpTo(echo.target, stream, { kind: 'connect-tcp', revision })
          : undefined,
    );
    await using client = await connect(server.link, { versions: [version], connectTcp: 'connect-tcp-07' });
    await exchange(client, echo.target, 'in older capsules');
    assert.equal(client.info().tcp, 'connect-tcp');
  });
}

test(
  'a proxy of another kind: HTTP/2 without extended CONNECT is asked by CONNECT at once',
  limit,
  async () => {
    await using echo = await startTcpEcho();
    const tls = selfSigned(['127.0.0.1'], 1);
    const server = createSecureServer({ ...tls, allowHTTP1: true });
    const methods: string[] = [];
    server.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      methods.push(String(headers[':method']));
      const socket = connectSocket(Number(String(headers[':authority']).split(':')[1]), '127.0.0.1', () => {
        stream.respond({ ':status': 200 });
        stream.pipe(socket).pipe(stream);
      });
      socket.on('error', () => stream.close());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const link = `https://user:secret@127.0.0.1:${(server.address() as AddressInfo).port}/#pin=${spkiPin(tls.cert)}`;
    {
      // HTTP/1.1 could stand for extended CONNECT; HTTP/2 is taken all the same.
      await using client = await connect(link, { versions: ['h2', 'h1'] });
      await exchange(client, echo.target, 'HTTP/2');
      await Promise.all([1, 2, 3].map((number) => exchange(client, echo.target, `again ${number}`)));
      assert.equal(client.info().tcp, 'connect');
      assert.deepEqual(methods, ['CONNECT', 'CONNECT', 'CONNECT', 'CONNECT']);
    }
    server.close();
  },
);

test('a proxy of another kind: HTTP/1.1 that answers an upgrade as a plain request', limit, async () => {
  await using echo = await startTcpEcho();
  const tls = selfSigned(['127.0.0.1'], 1);
  const asked: string[] = [];
  const server = createHttpsServer({ ...tls, allowHalfOpen: true }, (request, response) => {
    asked.push(String(request.method));
    response.end('a web page');
  });
  server.on('connect', (request, socket) => {
    asked.push(String(request.method));
    socket.on('error', () => undefined);
    const onward = connectSocket(Number(request.url?.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const link = `https://user:secret@127.0.0.1:${(server.address() as AddressInfo).port}/#pin=${spkiPin(tls.cert)}`;
  {
    await using client = await connect(link, { versions: ['h1'] });
    await exchange(client, echo.target, 'first');
    await exchange(client, echo.target, 'second');
    assert.deepEqual(asked, ['GET', 'CONNECT', 'CONNECT']);
  }
  server.close();
});

test('ERR_USAGE: a form or revision that there is not', async () => {
  const link = 'https://127.0.0.1:1/';
  await assert.rejects(connect(link, { tcp: 'both' as 'auto' }), code('ERR_USAGE'));
  await assert.rejects(connect(link, { connectTcp: 'connect-tcp' as 'connect-tcp-07' }), code('ERR_USAGE'));
});
