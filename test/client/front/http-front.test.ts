import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { Socket } from 'node:net';
import { after, test } from 'node:test';
import { type ErrorCode, failures } from '../../../src/protocol/failures.js';
import { type AppSocket, openApp, openUnreadApp } from './app-socket.js';
import { failure, startFrontEnd } from './direct-ground.js';
import { echo, startTarget } from './target-server.js';

const limit = { timeout: 120_000 };
const ESTABLISHED = 'HTTP/1.1 200 Connection Established\r\n\r\n';

const say = (app: AppSocket, ...lines: string[]): void =>
  app.write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`));
const text = async (app: AppSocket, count: number): Promise<string> =>
  Buffer.from(await app.read(count), 'hex').toString();
const basic = (user: string): string => `Proxy-Authorization: Basic ${Buffer.from(user).toString('base64')}`;

async function established(frontPort: number, targetPort: number): Promise<AppSocket> {
  const app = await openApp(frontPort);
  say(app, `CONNECT 127.0.0.1:${targetPort} HTTP/1.1`, `Host: 127.0.0.1:${targetPort}`);
  assert.equal(await text(app, ESTABLISHED.length), ESTABLISHED);
  return app;
}

/** An origin that tells what it got. */
async function startOrigin(answer?: http.RequestListener) {
  const seen: http.IncomingMessage[] = [];
  const server = http.createServer((request, response) => {
    seen.push(request);
    if (answer) {
      answer(request, response);
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.setHeader('connection', 'keep-alive, x-hop');
      response.setHeader('x-hop', '1');
      response.end(`${request.method} ${request.url} ${Buffer.concat(chunks)}`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return { port, seen, server };
}

test('CONNECT: 200 once the tunnel is up, bytes and ends both ways, early bytes kept', limit, async () => {
  for (const kind of ['mixed', 'http-proxy'] as const) {
    const front = await startFrontEnd(kind);
    const target = await startTarget(echo);
    using app = await openApp(front.port);
    app.write(Buffer.from(`CONNECT 127.0.0.1:${target.port} HTTP/1.1\r\nHost: x\r\n\r\nearly`));
    assert.equal(await text(app, ESTABLISHED.length + 5), `${ESTABLISHED}early`);
    app.socket.write('later');
    assert.equal(await text(app, 5), 'later');
    app.socket.end();
    assert.deepEqual(await app.rest(), { bytes: Buffer.alloc(0), how: 'end' });
  }
});

const refused: readonly (readonly [code: ErrorCode, status: number])[] = [
  ['ERR_TARGET_NAME', 502],
  ['ERR_TARGET_REFUSED', 403],
  ['ERR_TARGET_TIMEOUT', 504],
  ['ERR_PROXY_UNREACHABLE', 502],
  ['ERR_CREDENTIALS', 502],
  ['ERR_TOO_MANY', 429],
];
for (const [code, status] of refused) {
  test(`CONNECT: ${code} is ${status} with Proxy-Status, and the connection is closed`, limit, async () => {
    const front = await startFrontEnd('http-proxy');
    front.ground.failing.set('a.example', failure(code));
    using app = await openApp(front.port);
    // RFC 9931: what follows a refused CONNECT is never read as a request.
    say(
      app,
      'CONNECT a.example:443 HTTP/1.1',
      'Host: a.example',
      '',
      'GET /proxy.pac HTTP/1.1',
      'Host: localhost',
    );
    const { bytes, how } = await app.rest();
    assert.equal(how, 'end');
    const answer = bytes.toString();
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
    const { proxyStatus } = failures[code];
    if (proxyStatus) assert.match(answer, new RegExp(`proxy-status: local-proxy;error=${proxyStatus}`));
    assert.match(answer, new RegExp(code));
    assert.equal(answer.split('HTTP/1.1').length, 2);
    assert.equal((await front.told('tunnel-failed')).error.code, code);
  });
}

test('absolute form: forwarded without what is hop by hop, the content as it came', limit, async () => {
  const front = await startFrontEnd('mixed');
  const origin = await startOrigin();
  front.ground.names.add('a.example');
  using app = await openApp(front.port);
  say(
    app,
    `POST http://a.example:${origin.port}/path?q=1 HTTP/1.1`,
    'Host: other.example',
    'Connection: x-mine, keep-alive',
    'X-Mine: 1',
    'X-Kept: 2',
    'Proxy-Connection: keep-alive',
    basic('me:secret'),
    'Content-Length: 5',
    '',
    'hello',
  );
  const request = await until(() => origin.seen[0]);
  const { headers } = request;
  assert.deepEqual(
    [headers.host, headers['x-kept'], headers['x-mine'], headers['proxy-authorization'], headers['via']],
    [`a.example:${origin.port}`, '2', undefined, undefined, '1.1 local-proxy'],
  );
  const answer = await readAnswer(app);
  assert.match(answer, /^HTTP\/1\.1 200 OK/);
  assert.match(answer, /POST \/path\?q=1 hello$/);
  assert.doesNotMatch(answer, /x-hop/i);
  // The same connection takes the next request, chunked this time.
  app.write(
    Buffer.from(
      `GET http://a.example:${origin.port}/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    ),
  );
  assert.match(await readAnswer(app), /GET \/ abc$/);
});

async function until<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** One answer with Content-Length. */
async function readAnswer(app: AppSocket): Promise<string> {
  let head = '';
  while (!head.endsWith('\r\n\r\n')) head += await text(app, 1);
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
  return head + (await text(app, length));
}

test('request smuggling: what two readers could read differently is refused', limit, async () => {
  const front = await startFrontEnd('mixed');
  const origin = await startOrigin();
  const start = `POST http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: a\r\n`;
  for (const rest of [
    'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
    'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    'Content-Length : 5\r\n\r\nhello',
    'Host: b\r\nContent-Length: 0\r\n\r\n',
    'Content-Length: +5\r\n\r\nhello',
  ]) {
    using app = await openApp(front.port);
    app.write(Buffer.from(start + rest));
    const { bytes } = await app.rest();
    assert.match(bytes.toString(), /^HTTP\/1\.1 400 /, rest);
  }
  assert.equal(origin.seen.length, 0);
});

test('Max-Forwards is counted down, and at 0 nothing is forwarded', limit, async () => {
  const front = await startFrontEnd('mixed');
  const origin = await startOrigin();
  using app = await openApp(front.port);
  const url = `http://127.0.0.1:${origin.port}/`;
  say(app, `OPTIONS ${url} HTTP/1.1`, 'Host: a', 'Max-Forwards: 5');
  assert.match(await readAnswer(app), /^HTTP\/1\.1 200/);
  assert.equal(origin.seen[0]?.headers['max-forwards'], '4');
  say(app, `OPTIONS ${url} HTTP/1.1`, 'Host: a', 'Max-Forwards: 0');
  assert.match(await readAnswer(app), /^HTTP\/1\.1 200/);
  using other = await openApp(front.port);
  say(other, `TRACE ${url} HTTP/1.1`, 'Host: a', 'Max-Forwards: 0');
  assert.match(await readAnswer(other), /^HTTP\/1\.1 501/);
  assert.equal(origin.seen.length, 1);
});

test('an answer that is cut off cuts the app off; one with an error is told', limit, async () => {
  const front = await startFrontEnd('mixed');
  const origin = await startOrigin((_, response) => {
    response.writeHead(200, { 'content-length': 1_000 });
    response.write('some');
    setTimeout(() => response.socket?.resetAndDestroy(), 50);
  });
  using app = await openApp(front.port);
  say(app, `GET http://127.0.0.1:${origin.port}/ HTTP/1.1`, 'Host: a');
  assert.equal((await app.rest()).how, 'reset');
  front.ground.failing.set('b.example', failure('ERR_TARGET_CLOSED'));
  using other = await openApp(front.port);
  say(other, 'GET http://b.example/ HTTP/1.1', 'Host: b.example');
  const { bytes } = await other.rest();
  assert.match(bytes.toString(), /^HTTP\/1\.1 502 [\s\S]*local-proxy;error=connection_refused/);
});

test('a kept connection to the origin that has gone is no failure of the next request', limit, async () => {
  const front = await startFrontEnd('mixed');
  const origin = await startOrigin();
  using app = await openApp(front.port);
  for (let count = 1; count <= 3; count++) {
    say(app, `GET http://127.0.0.1:${origin.port}/${count} HTTP/1.1`, 'Host: a');
    assert.match(await readAnswer(app), new RegExp(`GET /${count} $`));
    for (const { socket } of origin.seen) socket.destroy();
  }
});

test('user and password: 407 without, for CONNECT and for absolute form', limit, async () => {
  const front = await startFrontEnd('mixed', { user: { name: 'me', password: 'secret' } });
  const origin = await startOrigin();
  for (const line of [`CONNECT 127.0.0.1:${origin.port}`, `GET http://127.0.0.1:${origin.port}/`]) {
    for (const field of ['X: y', basic('me:wrong'), basic('you:secret'), 'Proxy-Authorization: Bearer x']) {
      using app = await openApp(front.port);
      say(app, `${line} HTTP/1.1`, 'Host: a', field);
      const { bytes, how } = await app.rest();
      assert.equal(how, 'end');
      assert.match(bytes.toString(), /^HTTP\/1\.1 407 [\s\S]*proxy-authenticate: Basic realm="/i);
    }
    using app = await openApp(front.port);
    say(app, `${line} HTTP/1.1`, 'Host: a', basic('me:secret'));
    assert.equal(await text(app, 12), 'HTTP/1.1 200');
  }
});

test(
  'the PAC file, to this machine alone; 404 for the rest; no page of another origin reads it',
  limit,
  async () => {
    const front = await startFrontEnd('mixed');
    const ask = async (path: string, host: string): Promise<string> => {
      using app = await openApp(front.port);
      say(app, `GET ${path} HTTP/1.1`, `Host: ${host}`, 'Origin: http://evil.example', 'Connection: close');
      return (await app.rest()).bytes.toString();
    };
    for (const host of [
      `127.0.0.1:${front.port}`,
      `localhost:${front.port}`,
      `[::1]:${front.port}`,
      '127.0.0.1',
    ]) {
      const pac = await ask('/proxy.pac', host);
      assert.match(pac, /^HTTP\/1\.1 200 [\s\S]*application\/x-ns-proxy-autoconfig/);
      const script = pac.slice(pac.indexOf('\r\n\r\n') + 4).replace(/^[0-9a-f]+\r\n|\r\n0\r\n\r\n$/g, '');
      const find = new Function(`${script}; return FindProxyForURL('http://a.example/', 'a.example')`);
      assert.equal(find(), `PROXY ${host}`);
      assert.doesNotMatch(pac, /access-control/i);
    }
    for (const host of [
      'evil.example',
      `evil.example:${front.port}`,
      '192.0.2.1',
      '127.0.0.1.evil.example',
      '',
    ]) {
      assert.match(await ask('/proxy.pac', host), /^HTTP\/1\.1 421 /, host);
    }
    assert.match(await ask('/', 'localhost'), /^HTTP\/1\.1 404 /);
    assert.match(await ask('/proxy.pac?x', 'localhost'), /^HTTP\/1\.1 404 /);
  },
);

const malformed: readonly (readonly [what: string, bytes: string, status: number])[] = [
  ['no HTTP', 'hello world\r\n\r\n', 400],
  ['CONNECT without a port', 'CONNECT a.example HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['CONNECT with port 0', 'CONNECT a.example:0 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['CONNECT with content', 'CONNECT a.example:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc', 400],
  ['CONNECT with user information', 'CONNECT u@a.example:1 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['no Host', 'GET http://a.example/ HTTP/1.1\r\n\r\n', 400],
  ['another scheme', 'GET ftp://a.example/ HTTP/1.1\r\nHost: a\r\n\r\n', 501],
  ['https in absolute form', 'GET https://a.example/ HTTP/1.1\r\nHost: a\r\n\r\n', 501],
  ['a host that is none', 'GET http://a..b/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  [
    'a head that is too long',
    `GET http://a.example/ HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`,
    431,
  ],
];
for (const [what, bytes, status] of malformed) {
  test(`refused: ${what} is ${status}`, limit, async () => {
    const front = await startFrontEnd('mixed');
    using app = await openApp(front.port);
    app.write(Buffer.from(bytes));
    const { bytes: got, how } = await app.rest();
    assert.match(got.toString(), new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.equal(how, 'end');
    assert.deepEqual(front.ground.asked, []);
    await front.told('app-refused');
  });
}

test('TLS on the port is closed with a hint for the user', limit, async () => {
  const front = await startFrontEnd('http-proxy');
  using app = await openApp(front.port);
  app.write('160301 0200 010001fc0303');
  assert.equal((await app.rest()).how, 'end');
  assert.match((await front.told('app-refused')).detail, /http:\/\//);
});

test('SOCKS on a port for HTTP is closed with a hint for the user', limit, async () => {
  for (const bytes of ['050100', '0401005000000001 6d6500']) {
    const front = await startFrontEnd('http-proxy');
    using app = await openApp(front.port);
    app.write(bytes);
    assert.equal((await app.rest()).how, 'end');
    assert.match((await front.told('app-refused')).detail, /not HTTP but SOCKS.*http:\/\//);
  }
});

test('no whole request in time is 408', limit, async () => {
  const front = await startFrontEnd('http-proxy', { limits: { requestTimeout: 300 } });
  using app = await openApp(front.port);
  app.write(Buffer.from('GET http://a.example/ HTTP/1.1\r\n'));
  assert.match((await app.rest()).bytes.toString(), /^HTTP\/1\.1 408 /);
});

const resetting: readonly (readonly [what: string, serve: (socket: Socket) => void])[] = [
  ['with nothing sent', (socket) => socket.once('data', () => socket.resetAndDestroy())],
  [
    'with bytes queued',
    (socket) =>
      socket.once('data', () => {
        socket.write(Buffer.alloc(3_000_000));
        setTimeout(() => socket.resetAndDestroy(), 50);
      }),
  ],
];
for (const [what, serve] of resetting) {
  test(`CONNECT: a target that resets ${what} resets the app, whether it reads or not`, limit, async () => {
    const front = await startFrontEnd('http-proxy');
    const target = await startTarget(serve);
    using app = await established(front.port, target.port);
    app.socket.write('go');
    assert.equal((await app.rest()).how, 'reset');
    const unread = await openUnreadApp(front.ground.tcp(), front.port);
    unread.write(
      Buffer.from(`CONNECT 127.0.0.1:${target.port} HTTP/1.1\r\nHost: a\r\n\r\ngo`).toString('hex'),
    );
    assert.deepEqual(await unread.closed, { kind: 'reset', by: 'peer', errno: 'ECONNRESET' });
  });
}

test(
  'CONNECT: an app that resets resets the target; a target that ends does not stop the app',
  limit,
  async () => {
    const front = await startFrontEnd('http-proxy');
    const got: string[] = [];
    const target = await startTarget((socket) => {
      socket.end('over');
      socket.on('data', (bytes) => got.push(bytes.toString()));
      socket.on('error', (error: NodeJS.ErrnoException) => got.push(error.code ?? ''));
    });
    using app = await established(front.port, target.port);
    assert.equal(await text(app, 4), 'over');
    app.socket.write('more');
    await until(() => got[0]);
    app.socket.resetAndDestroy();
    await until(() => got[1]);
    assert.deepEqual(got, ['more', 'ECONNRESET']);
  },
);

test('20 MB down through CONNECT arrive whole, and a reader who stops holds it up', limit, async () => {
  const front = await startFrontEnd('http-proxy');
  const size = 20_000_000;
  let written = 0;
  const target = await startTarget((socket) => {
    const more = (): void => {
      while (written < size) {
        written += 100_000;
        if (!socket.write(Buffer.alloc(100_000, 7))) return;
      }
      socket.end();
    };
    socket.on('drain', more);
    more();
  });
  using app = await established(front.port, target.port);
  app.socket.pause();
  let before = -1;
  while (before !== written) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.ok(written < size, 'everything was buffered on the way');
  app.socket.resume();
  const { bytes, how } = await app.rest();
  assert.deepEqual([bytes.length, how], [size, 'end']);
});
