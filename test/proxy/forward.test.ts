import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import type { Fields } from '../../src/protocol/fields.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import type { ProxyEvent } from '../../src/proxy/events.js';
import type { ProxyOptions } from '../../src/proxy/options.js';
import { createPasswordStore } from '../../src/proxy/password-store.js';
import type { RunningProxy } from '../../src/proxy/proxy.js';
import { patterned, sha256Of } from '../interop/https-origin.js';
import {
  absoluteFormConnection,
  askPlain,
  type PlainConnection,
  rawConnection,
  startOrigin,
} from './plain-request.js';
import { createDialler, startProxy } from './real-proxy.js';
import { closedPort, until } from './tcp-target.js';

const options = { timeout: 120_000 };
/** All of them together, on a machine that has other things to do. */
const suite = { timeout: 240_000 };
const versions: readonly HttpVersion[] = ['h3', 'h2', 'h1'];

interface World {
  readonly proxy: RunningProxy;
  readonly events: ProxyEvent[];
  connect(): Promise<PlainConnection>;
}

const field = (fields: Fields | undefined, name: string): string | undefined => new Map(fields).get(name);
const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

/** Sends the request back as JSON. */
const mirror = (request: IncomingMessage, response: import('node:http').ServerResponse): void => {
  const content: Buffer[] = [];
  request.on('data', (chunk: Buffer) => content.push(chunk));
  request.on('end', () => {
    const { method, url, rawHeaders } = request;
    response.end(JSON.stringify({ method, url, rawHeaders, content: Buffer.concat(content).toString() }));
  });
};

interface Mirrored {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly content: string;
}

function headersOf({ rawHeaders }: Mirrored): Map<string, string[]> {
  const headers = new Map<string, string[]>();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    headers.set(name, [...(headers.get(name) ?? []), rawHeaders[at + 1] ?? '']);
  }
  return headers;
}

for (const version of versions) {
  describe(`plain http:// requests over ${version}`, { ...suite, concurrency: false }, () => {
    const dialler = createDialler();
    const start = async (given: Partial<ProxyOptions> = {}): Promise<World> => {
      const { proxy, events } = await startProxy(given);
      return {
        proxy,
        events,
        connect: async () =>
          version === 'h1' ? absoluteFormConnection(proxy) : dialler.dial(version, proxy),
      };
    };
    const mirrored = async (world: World, ask: Parameters<typeof askPlain>[1]): Promise<Mirrored> => {
      const connection = await world.connect();
      const answer = await askPlain(connection, ask).done();
      assert.equal(answer.head?.status, 200, answer.text());
      assert.equal(answer.outcome?.kind, 'ended');
      await connection.close();
      return JSON.parse(answer.text()) as Mirrored;
    };

    test('the origin gets path, Host and end-to-end fields, and Via; both ways', options, async () => {
      const origin = await startOrigin((request, response) => {
        response.setHeader('x-answer', ['1', '2']);
        response.setHeader('proxy-authenticate', 'Basic realm="not yours"');
        response.setHeader('via', '1.0 inside');
        response.setHeader('connection', 'x-secret');
        response.setHeader('x-secret', 'of this connection');
        mirror(request, response);
      });
      const world = await start();
      const connection = await world.connect();
      const asked = askPlain(connection, {
        authority: origin.authority,
        path: '/a/b?c=d',
        fields: [
          ['x-one', '1'],
          ['x-one', '2'],
          ['cookie', 'a=1'],
          ['cookie', 'b=2'],
          ['authorization', basic('for:the origin')],
          ['proxy-authorization', basic('for:the proxy')],
          ['via', '1.1 first'],
        ],
      });
      const answer = await asked.done();
      const got = JSON.parse(answer.text()) as Mirrored;
      const headers = headersOf(got);
      assert.deepEqual([got.method, got.url, got.content], ['GET', '/a/b?c=d', '']);
      assert.deepEqual(headers.get('host'), [origin.authority]);
      assert.deepEqual(headers.get('x-one'), ['1', '2']);
      assert.deepEqual(headers.get('cookie')?.join('; '), 'a=1; b=2');
      assert.deepEqual(headers.get('authorization'), [basic('for:the origin')]);
      assert.equal(headers.has('proxy-authorization'), false);
      assert.equal(headers.has('transfer-encoding'), false);
      assert.equal(
        [...headers.keys()].some((name) => name.startsWith('x-forwarded')),
        false,
      );
      const number = { h3: '3', h2: '2', h1: '1.1' }[version];
      assert.match(headers.get('via')?.join(', ') ?? '', new RegExp(`^1.1 first, ${number} p-[0-9a-f]+$`));
      const { fields } = answer.head ?? assert.fail('no answer');
      assert.deepEqual(
        fields.filter(([name]) => name === 'x-answer').map(([, value]) => value),
        ['1', '2'],
      );
      assert.match(field(fields, 'via') ?? '', /^1\.0 inside, 1\.1 p-[0-9a-f]+$/);
      assert.equal(field(fields, 'proxy-authenticate'), undefined);
      assert.equal(field(fields, 'x-secret'), undefined);
      assert.equal(field(fields, 'alt-svc'), undefined, "the proxy's own Alt-Svc is not the origin's");
      await connection.close();
      const forwarded = (): ProxyEvent | undefined =>
        world.events.find((event) => event.event === 'request-forwarded');
      await until(() => forwarded() !== undefined, 'the event');
      const told = forwarded();
      assert.ok(told?.event === 'request-forwarded');
      assert.deepEqual(
        [told.method, told.status, told.complete, told.target.port],
        ['GET', 200, true, origin.port],
      );
    });

    test('content with a length, and without one', options, async () => {
      const origin = await startOrigin(mirror);
      const world = await start();
      const stated = await mirrored(world, {
        method: 'POST',
        authority: origin.authority,
        content: 'hello',
        fields: [['content-length', '5']],
      });
      assert.deepEqual([stated.content, headersOf(stated).get('content-length')], ['hello', ['5']]);
      assert.equal(headersOf(stated).has('transfer-encoding'), false);
      const chunked = await mirrored(world, {
        method: 'POST',
        authority: origin.authority,
        content: 'hello',
        fields: version === 'h1' ? [['transfer-encoding', 'chunked']] : [],
      });
      assert.equal(chunked.content, 'hello');
      assert.deepEqual(headersOf(chunked).get('transfer-encoding'), ['chunked']);
    });

    test('10 MB each way, whole', options, async () => {
      const size = 10 << 20;
      const received: Buffer[] = [];
      const origin = await startOrigin((request, response) => {
        request.on('data', (chunk: Buffer) => received.push(chunk));
        request.on('end', () => response.end(Buffer.concat([...patterned(4, size)])));
      });
      const world = await start();
      const connection = await world.connect();
      const content = Buffer.concat([...patterned(3, size)]);
      const answer = await askPlain(connection, {
        method: 'PUT',
        authority: origin.authority,
        content,
        fields: [['content-length', String(size)]],
      }).done();
      assert.equal(sha256Of(received), sha256Of([content]));
      assert.equal(sha256Of(answer.content), sha256Of(patterned(4, size)));
      await connection.close();
    });

    test('HEAD, 204 and 304 have no content', options, async () => {
      const origin = await startOrigin((request, response) => {
        if (request.method === 'HEAD') response.writeHead(200, { 'content-length': 1_000 });
        else response.writeHead(Number(request.url?.slice(1)));
        response.end();
      });
      const world = await start();
      for (const [method, path, status] of [
        ['HEAD', '/', 200],
        ['GET', '/204', 204],
        ['GET', '/304', 304],
      ] as const) {
        const connection = await world.connect();
        const answer = await askPlain(connection, { method, authority: origin.authority, path }).done();
        assert.deepEqual([answer.head?.status, answer.text(), answer.outcome?.kind], [status, '', 'ended']);
        if (method === 'HEAD') assert.equal(field(answer.head?.fields, 'content-length'), '1000');
        await connection.close();
      }
    });

    test(
      'an answer that ends with its connection is whole; one cut off is not taken for whole',
      options,
      async () => {
        const server = createServer((socket: Socket) => {
          socket.on('error', () => undefined);
          socket.once('data', (head) => {
            if (String(head).includes('/cut')) {
              socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this');
              setTimeout(() => socket.destroy(), 20);
            } else if (String(head).includes('/reset')) {
              socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nonly this');
              setTimeout(() => socket.resetAndDestroy(), 20);
            } else socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it');
          });
        });
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        after(() => server.close());
        const address = server.address();
        const port = typeof address === 'object' ? address?.port : 0;
        const world = await start();
        const ask = async (path: string) => {
          const connection = await world.connect();
          const answer = await askPlain(connection, { authority: `127.0.0.1:${port}`, path }).done();
          await connection.close();
          return answer;
        };
        const whole = await ask('/whole');
        assert.deepEqual([whole.text(), whole.outcome?.kind], ['all of it', 'ended']);
        for (const path of ['/cut', '/reset']) {
          const cut = await ask(path);
          assert.ok(
            cut.outcome?.kind === 'reset' || cut.outcome?.kind === 'lost',
            `${path} ${cut.outcome?.kind}`,
          );
          assert.equal(cut.ended, false, path);
        }
      },
    );

    test('1xx answers are passed on before the answer', options, async () => {
      const origin = await startOrigin((_request, response) => {
        response.writeEarlyHints({ link: '</style.css>; rel=preload' });
        setTimeout(() => response.end('done'), 20);
      });
      const world = await start();
      const connection = await world.connect();
      const answer = await askPlain(connection, { authority: origin.authority }).done();
      assert.deepEqual(answer.informed, [103]);
      assert.equal(answer.text(), 'done');
      await connection.close();
    });

    test('a reader who pauses holds the origin back', options, async () => {
      let sent = 0;
      const origin = await startOrigin((_request, response) => {
        const piece = Buffer.alloc(1 << 16);
        const more = (): void => {
          while (sent < 64 << 20) {
            sent += piece.length;
            if (!response.write(piece)) {
              response.once('drain', more);
              return;
            }
          }
          response.end();
        };
        more();
      });
      const world = await start();
      const connection = await world.connect();
      const asked = askPlain(connection, { authority: origin.authority, credit: 1_000 });
      await until(() => asked.answer.text().length === 1_000, 'the first bytes');
      let before = -1;
      while (before !== sent) {
        before = sent;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      assert.ok(sent < 24 << 20, `${sent} bytes were taken from the origin`);
      asked.stream.reset('cancelled');
      await asked.done();
      await connection.close();
    });

    test(
      'credentials: 407 before anything else, then the request; policy and limits hold',
      options,
      async () => {
        const origin = await startOrigin(mirror);
        const world = await start({
          authenticate: createPasswordStore([['ada', 'secret']]).authenticate,
          decide: ({ kind, user, target }) =>
            kind === 'tcp' && user.name === 'ada' && target.port === origin.port
              ? { action: 'direct' }
              : { action: 'refuse', status: 403, error: 'http_request_denied' },
        });
        const connection = await world.connect();
        const stranger = await askPlain(connection, { authority: origin.authority }).done();
        assert.equal(stranger.head?.status, 407);
        assert.match(field(stranger.head?.fields, 'proxy-authenticate') ?? '', /^Basic/);
        assert.equal(stranger.text(), 'This proxy wants a valid name and password.\n');
        assert.match(field(stranger.head?.fields, 'content-type') ?? '', /^text\/plain/);
        await connection.close();
        const proxied: Fields = [['proxy-authorization', basic('ada:secret')]];
        const got = await mirrored(world, { authority: origin.authority, fields: proxied });
        assert.equal(headersOf(got).has('proxy-authorization'), false);
        const other = await world.connect();
        const denied = await askPlain(other, { authority: '127.0.0.1:9', fields: proxied }).done();
        assert.equal(denied.head?.status, 403);
        assert.equal(denied.text(), "The proxy's rules refuse this target.\n");
        const headOnly = await askPlain(other, {
          authority: '127.0.0.1:9',
          method: 'HEAD',
          fields: proxied,
        }).done();
        assert.deepEqual([headOnly.head?.status, headOnly.text()], [403, '']);
        await other.close();
        assert.deepEqual(world.proxy.info().tunnels.opening, 0);
        assert.equal(world.proxy.info().requests.forwarded, 1);
      },
    );

    test('what is not reached is told as for a CONNECT', options, async () => {
      const world = await start({ targets: { allow: ['127.0.0.1/32'] } });
      const cases = [
        [`127.0.0.1:${await closedPort()}`, 502, /connection_refused/],
        ['nowhere.invalid', 502, /dns_error/],
        ['10.0.0.1', 403, /destination_ip_prohibited/],
        ['127.0.0.2:25', 403, /destination_ip_prohibited/],
        ['user@127.0.0.1', 400, /http_request_error/],
      ] as const;
      for (const [authority, status, error] of cases) {
        const connection = await world.connect();
        const answer = await askPlain(connection, { authority }).done();
        if (answer.head === undefined) assert.equal(authority, 'user@127.0.0.1', 'only this may be cut off');
        else {
          assert.equal(answer.head.status, status, authority);
          assert.match(field(answer.head.fields, 'proxy-status') ?? '', error);
        }
        await connection.close();
      }
    });

    test('C3: a request that came through this proxy gets 508', options, async () => {
      const vias: string[] = [];
      const origin = await startOrigin((request, response) => {
        vias.push(String(request.headers.via));
        response.end();
      });
      const world = await start();
      const connection = await world.connect();
      await askPlain(connection, { authority: origin.authority }).done();
      const again = await world.connect();
      const fields: Fields = [['via', vias[0] ?? '']];
      const answer = await askPlain(again, { authority: origin.authority, fields }).done();
      assert.equal(answer.head?.status, 508);
      assert.equal(vias.length, 1);
      await connection.close();
      await again.close();
    });

    test('TRACE is refused, and a counted OPTIONS ends here at 0', options, async () => {
      const origin = await startOrigin(mirror);
      const world = await start();
      const statusOf = async (method: string, fields: Fields): Promise<number | undefined> => {
        const connection = await world.connect();
        const answer = await askPlain(connection, { method, authority: origin.authority, fields }).done();
        await connection.close();
        return answer.head?.status;
      };
      assert.equal(await statusOf('TRACE', []), 501);
      assert.equal(await statusOf('OPTIONS', [['max-forwards', '0']]), 200);
      assert.equal(origin.connections, 0);
      const counted = await mirrored(world, {
        method: 'OPTIONS',
        authority: origin.authority,
        fields: [['max-forwards', '7']],
      });
      assert.deepEqual(headersOf(counted).get('max-forwards'), ['6']);
    });

    test('a client that leaves is gone at the origin too', options, async () => {
      let gone = false;
      const origin = await startOrigin((request, response) => {
        response.writeHead(200);
        response.write('one');
        request.socket.on('close', () => {
          gone = true;
        });
      });
      const world = await start();
      const connection = await world.connect();
      const asked = askPlain(connection, { authority: origin.authority });
      await until(() => asked.answer.text() === 'one', 'the first bytes');
      asked.stream.reset('cancelled');
      await until(() => gone, 'the end at the origin');
      await connection.close();
      await until(() => world.proxy.info().requests.forwarding === 0, 'the end of the exchange');
    });
  });
}

describe('connections to origins', suite, () => {
  test(
    'requests of one client share them, different users do not, and a POST gets its own',
    options,
    async () => {
      const origin = await startOrigin(mirror);
      const { proxy } = await startProxy({
        authenticate: createPasswordStore([
          ['ada', 'secret'],
          ['eve', 'secret'],
        ]).authenticate,
      });
      const connection = await createDialler().dial('h2', proxy);
      const ask = async (user: string, method: string): Promise<void> => {
        const fields: Fields = [['proxy-authorization', basic(`${user}:secret`)]];
        const answer = await askPlain(connection, { method, authority: origin.authority, fields }).done();
        assert.equal(answer.head?.status, 200);
      };
      for (let count = 0; count < 5; count++) await ask('ada', 'GET');
      assert.equal(origin.connections, 1);
      await ask('eve', 'GET');
      assert.equal(origin.connections, 2);
      await ask('ada', 'POST');
      assert.equal(origin.connections, 3);
      await ask('ada', 'GET');
      assert.equal(origin.connections, 3);
      await connection.close();
    },
  );

  test('one that the origin closed meanwhile costs a GET nothing', options, async () => {
    const sockets: Socket[] = [];
    const origin = await startOrigin(mirror);
    origin.server.on('connection', (socket: Socket) => sockets.push(socket));
    const { proxy } = await startProxy();
    const connection = await createDialler().dial('h2', proxy);
    for (let count = 0; count < 10; count++) {
      const answer = await askPlain(connection, { authority: origin.authority }).done();
      assert.equal(answer.head?.status, 200);
      sockets.at(-1)?.resetAndDestroy();
    }
    await connection.close();
  });

  test('what an origin says unasked is no answer to the next request', options, async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal');
        setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged'), 10);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    after(() => server.close());
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const { proxy } = await startProxy();
    const connection = await createDialler().dial('h2', proxy);
    for (let count = 0; count < 5; count++) {
      const answer = await askPlain(connection, { authority: `127.0.0.1:${port}` }).done();
      assert.equal(answer.text(), 'real');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await connection.close();
  });

  test('requests in origin form for a foreign Host are still none of the proxy', options, async () => {
    const origin = await startOrigin(mirror);
    const { proxy } = await startProxy();
    const raw = await rawConnection(proxy);
    raw.write(`GET /elsewhere HTTP/1.1\r\nHost: ${origin.authority}\r\n\r\n`);
    await until(() => raw.received().includes('\r\n\r\n'), 'the answer');
    assert.match(raw.received(), /^HTTP\/1\.1 404 /);
    assert.equal(origin.connections, 0);
  });
});
