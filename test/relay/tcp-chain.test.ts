import assert from 'node:assert/strict';
import { createSecureServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { after, describe, test } from 'node:test';
import { systemClock } from '../../src/clock/system-clock.js';
import type { HttpClientConnection } from '../../src/http/connection.js';
import { dialH1 } from '../../src/http/h1/dial.js';
import { dialH2 } from '../../src/http/h2/dial.js';
import { dialH3 } from '../../src/http/h3/client.js';
import { publicKeyPin } from '../../src/ops/public-key-pin.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { Fields } from '../../src/protocol/fields.js';
import { parseProxyStatus } from '../../src/protocol/proxy-status.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { createNativeEngine, selfSigned } from '../../src/quic/native/index.js';
import { patterned, sha256Of } from '../interop/https-origin.js';
import { type AskedTcp, askTcp, bothForms, templated } from '../proxy/ask-tcp.js';
import { askPlain, startOrigin } from '../proxy/plain-request.js';
import { closedPort, startTcpTarget, until } from '../proxy/tcp-target.js';
import { type ChainProxy, startHop } from './chain.js';

const options = { timeout: 120_000 };
/** All of them together, on a machine that has other things to do. */
const suite = { timeout: 240_000 };
const all: readonly HttpVersion[] = ['h3', 'h2', 'h1'];

type Form = (typeof bothForms)[number][1];

/** Dials the first hop of a chain. */
async function dial(entry: ChainProxy, version: HttpVersion): Promise<HttpClientConnection> {
  const remote = { address: '127.0.0.1', port: entry.port };
  const tls = { serverName: 'localhost', trust: { mode: 'ca', ca: entry.tls.cert } } as const;
  const signal = AbortSignal.timeout(60_000);
  const clock = systemClock;
  if (version === 'h3') {
    const engine = createNativeEngine();
    after(() => engine.close());
    return dialH3(engine, { quic: { remote, tls: { ...tls, alpn: ['h3'] } }, clock }, {}, signal);
  }
  if (version === 'h2')
    return dialH2(undefined, { remote, tls: { ...tls, alpn: ['h2'] }, clock }, {}, signal);
  return dialH1(undefined, { remote, tls: { ...tls, alpn: ['http/1.1'] }, clock }, {}, signal);
}

function ask(
  connection: HttpClientConnection,
  form: Form,
  password: string,
  port: number,
  host = '127.0.0.1',
  credit?: number,
): AskedTcp {
  const value = `Basic ${Buffer.from(`user:${password}`).toString('base64')}`;
  const name = form.kind === 'connect' ? 'proxy-authorization' : 'authorization';
  return askTcp(connection, host, port, {
    clock: systemClock,
    form,
    fields: [[name, value]],
    ...(credit === undefined ? {} : { credit }),
  });
}

/** Three proxies, the path between two of them in a version each. */
async function startChain(
  second: HttpVersion,
  third: HttpVersion,
): Promise<{ entry: ChainProxy; exit: ChainProxy }> {
  const exit = await startHop('last');
  const middle = await startHop('middle', { via: exit.link, viaVersions: [third] });
  return { entry: await startHop('first', { via: middle.link, viaVersions: [second] }), exit };
}

const refusedBy = async ({ tunnel }: AskedTcp): Promise<BautaError> =>
  tunnel.ready.then(
    () => assert.fail('it was accepted'),
    (error: unknown) => (error instanceof BautaError ? error : assert.fail(String(error))),
  );

for (const [name, form] of bothForms) {
  describe(`${name} through three proxies`, suite, () => {
    for (const [first, second, third] of [
      ['h3', 'h3', 'h3'],
      ['h2', 'h2', 'h2'],
      ['h1', 'h1', 'h1'],
      ['h3', 'h2', 'h1'],
      ['h1', 'h3', 'h2'],
      ['h2', 'h1', 'h3'],
    ] as const) {
      test(
        `C1, C5: 10 MB each way over ${first}, ${second}, ${third}, and half closes`,
        options,
        async () => {
          const size = 10 << 20;
          const { entry, exit } = await startChain(second, third);
          const target = await startTcpTarget();
          const connection = await dial(entry, first);
          const { tunnel, seen } = ask(connection, form, 'first', target.port);
          await tunnel.ready;
          for (const piece of patterned(5, size)) {
            const before = seen.drains;
            if (!tunnel.write(piece, 0, piece.length)) await until(() => seen.drains > before, 'room');
          }
          tunnel.end();
          const side = await target.side();
          await until(() => side.ended, 'the FIN at the target');
          assert.equal(sha256Of(side.received), sha256Of(patterned(5, size)));
          // The client has ended, and the target says all it has.
          for (const piece of patterned(6, size)) {
            if (!side.socket.write(piece)) await new Promise((resolve) => side.socket.once('drain', resolve));
          }
          side.socket.end();
          await until(() => seen.over !== undefined, 'the end');
          assert.equal(sha256Of(seen.received), sha256Of(patterned(6, size)));
          assert.equal(seen.over?.kind, 'ended');
          assert.equal(side.error, undefined);
          await until(
            () => exit.events.some(({ event }) => event === 'tunnel-closed'),
            'the end at the last hop',
          );
          const end = exit.events.find(({ event }) => event === 'tunnel-closed');
          assert.ok(end?.event === 'tunnel-closed' && end.kind === 'tcp');
          assert.deepEqual(
            [end.reason, end.statistics.bytesIn, end.statistics.bytesOut],
            ['ended', size, size],
          );
          await connection.close();
        },
      );
    }

    for (const version of all) {
      test(`C5: resets go through ${version} in both directions`, options, async () => {
        const { entry } = await startChain(version, version);
        const target = await startTcpTarget();
        const one = await dial(entry, version);
        const reset = ask(one, form, 'first', target.port);
        await reset.tunnel.ready;
        (await target.side(0)).socket.resetAndDestroy();
        await until(() => reset.seen.over !== undefined, 'the reset at the client');
        assert.notEqual(reset.seen.over?.kind, 'ended');
        assert.equal(reset.seen.ended, false);
        const other = one.usable ? one : await dial(entry, version);
        const resetting = ask(other, form, 'first', target.port);
        await resetting.tunnel.ready;
        const side = await target.side(1);
        resetting.send('half of a');
        await until(() => side.text() === 'half of a', 'the bytes');
        resetting.tunnel.reset('cancelled');
        await until(() => side.error !== undefined || side.ended, 'the end at the target');
        assert.equal(side.error, 'ECONNRESET');
        await one.close();
        await other.close();
      });

      test(`C2: over ${version} the refusal of the last hop has an entry of each`, options, async () => {
        const { entry } = await startChain(version, version);
        const connection = await dial(entry, version);
        const error = await refusedBy(ask(connection, form, 'first', await closedPort()));
        assert.deepEqual([error.status, error.code], [502, 'ERR_TARGET_CLOSED']);
        const entries = parseProxyStatus(error.proxyStatus ?? '');
        assert.deepEqual(
          entries.map(({ error: kind, receivedStatus, nextProtocol }) => [
            kind,
            receivedStatus,
            nextProtocol,
          ]),
          [
            ['connection_refused', undefined, undefined],
            [undefined, 502, version === 'h1' ? 'http/1.1' : version],
            [undefined, 502, version === 'h1' ? 'http/1.1' : version],
          ],
        );
        await connection.close();
      });

      test(`C3: over ${version} two that forward to each other answer with 508`, options, async () => {
        const links = { second: '' };
        const first = await startHop('one', {
          decide: () => ({ action: 'via', hop: links.second }),
          viaVersions: [version],
        });
        const second = await startHop('two', { via: first.link, viaVersions: [version] });
        links.second = second.link;
        const connection = await dial(first, version);
        const error = await refusedBy(ask(connection, form, 'one', 9));
        assert.deepEqual([error.status, error.code], [508, 'ERR_LOOP']);
        await connection.close();
      });
    }

    test(
      'C7: a hop that refuses the credentials of the one before it is 502, never 401 or 407',
      options,
      async () => {
        const exit = await startHop('right');
        const entry = await startHop('first', { via: exit.link.replace('right', 'wrong') });
        const connection = await dial(entry, 'h2');
        const error = await refusedBy(ask(connection, form, 'first', 443));
        assert.deepEqual([error.status, error.code], [502, 'ERR_HOP_CREDENTIALS']);
        await connection.close();
      },
    );

    test('C4: a reader who pauses holds back the target through all hops', options, async () => {
      const { entry } = await startChain('h3', 'h2');
      let sent = 0;
      const target = await startTcpTarget(({ socket }) => {
        const piece = Buffer.alloc(1 << 16);
        const more = (): void => {
          while (sent < 128 << 20 && !socket.destroyed) {
            sent += piece.length;
            if (!socket.write(piece)) {
              socket.once('drain', more);
              return;
            }
          }
        };
        more();
      });
      const connection = await dial(entry, 'h2');
      const { tunnel, seen } = ask(connection, form, 'first', target.port, '127.0.0.1', 1_000);
      await tunnel.ready;
      await until(() => seen.bytes > 0, 'the first bytes');
      for (let before = -1; before !== sent; ) {
        before = sent;
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
      assert.ok(sent < 48 << 20, `${sent} bytes were taken from the target`);
      tunnel.reset('cancelled');
      await connection.close();
    });
  });
}

describe('a next hop that knows no connect-tcp', suite, () => {
  test('is asked by classic CONNECT, with its own credentials', options, async () => {
    const tls = selfSigned(['localhost', '127.0.0.1'], 2);
    const asked: IncomingHttpHeaders[] = [];
    const server = createSecureServer({ ...tls });
    server.on('stream', (stream: ServerHttp2Stream, headers) => {
      asked.push(headers);
      const [host = '', port = ''] = String(headers[':authority']).split(':');
      const socket = connectTcp(Number(port), host, () => {
        stream.respond({ ':status': 200 });
        stream.pipe(socket).pipe(stream);
      });
      socket.on('error', () => stream.close());
      stream.on('error', () => socket.destroy());
    });
    server.on('connect', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const via = `https://hop-user:hop-password@127.0.0.1:${port}/#pin=${publicKeyPin(tls.cert)}`;
    const entry = await startHop('first', { via, viaVersions: ['h2'] });
    after(() => server.close());
    const target = await startTcpTarget(({ socket }) => socket.pipe(socket));
    const connection = await dial(entry, 'h2');
    const tunnel = ask(connection, templated, 'first', target.port);
    await tunnel.tunnel.ready;
    tunnel.send('echo');
    await until(() => tunnel.seen.text() === 'echo', 'the echo');
    const [headers] = asked;
    assert.deepEqual(
      [headers?.[':method'], headers?.[':authority'], headers?.[':protocol']],
      ['CONNECT', `127.0.0.1:${target.port}`, undefined],
    );
    const given = Buffer.from(String(headers?.['proxy-authorization']).slice(6), 'base64');
    assert.equal(String(given), 'hop-user:hop-password');
    assert.equal(headers?.authorization, undefined);
    assert.match(String(headers?.via), /^2 p-[0-9a-f]+$/);
    tunnel.tunnel.reset('cancelled');
    await connection.close();
  });
});

describe('plain http:// requests through three proxies', suite, () => {
  for (const version of all) {
    test(
      `C1: over ${version} the last hop reaches the origin, and only the first has the request`,
      options,
      async () => {
        const seen: (string | undefined)[] = [];
        const origin = await startOrigin((request, response) => {
          seen.push(request.headers.via, request.headers['proxy-authorization']);
          response.end('from the origin');
        });
        const { entry, exit } = await startChain(version, version);
        const connection = await dial(entry, 'h2');
        const fields: Fields = [
          ['proxy-authorization', `Basic ${Buffer.from('user:first').toString('base64')}`],
        ];
        const answer = await askPlain(connection, { authority: origin.authority, fields }).done();
        assert.deepEqual([answer.head?.status, answer.text()], [200, 'from the origin']);
        assert.match(seen[0] ?? '', /^2 p-[0-9a-f]+$/);
        assert.equal(seen[1], undefined);
        // For the hops behind it is a tunnel.
        assert.ok(
          exit.events.some((event) => event.event === 'tunnel-opened' && event.target.port === origin.port),
        );
        const missing = await askPlain(connection, {
          authority: `127.0.0.1:${await closedPort()}`,
          fields,
        }).done();
        assert.equal(missing.head?.status, 502);
        assert.equal(parseProxyStatus(new Map(missing.head?.fields).get('proxy-status') ?? '').length, 3);
        await connection.close();
      },
    );
  }
});
