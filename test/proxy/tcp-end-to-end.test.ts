import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../src/clock/system-clock.js';
import type { HttpClientConnection } from '../../src/http/connection.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import type { RunningProxy } from '../../src/proxy/proxy.js';
import { patterned, sha256Of } from '../interop/https-origin.js';
import { type AskedTcp, askTcp, bothForms } from './ask-tcp.js';
import { createDialler, startProxy } from './real-proxy.js';
import { closedPort, startTcpTarget, type TcpTarget, until } from './tcp-target.js';

const options = { timeout: 120_000 };
/** All of them together, on a machine that has other things to do. */
const suite = { timeout: 240_000 };
const versions: readonly HttpVersion[] = ['h3', 'h2', 'h1'];

interface Opened extends AskedTcp {
  readonly proxy: RunningProxy;
  readonly connection: HttpClientConnection;
}

const refusedBy = async (ready: Promise<unknown>): Promise<BautaError> =>
  ready.then(
    () => assert.fail('it was accepted'),
    (error: unknown) => (error instanceof BautaError ? error : assert.fail(String(error))),
  );

for (const version of versions) {
  for (const [name, form] of bothForms) {
    describe(`${name} over ${version}`, { ...suite, concurrency: false }, () => {
      const ask = async (host: string, port: number, credit?: number): Promise<Opened> => {
        const { proxy } = await startProxy();
        const connection = await createDialler().dial(version, proxy);
        const asked = askTcp(connection, host, port, {
          clock: systemClock,
          form,
          ...(credit === undefined ? {} : { credit }),
        });
        return { ...asked, proxy, connection };
      };
      const open = async (target: TcpTarget, credit?: number): Promise<Opened> => {
        const opened = await ask('127.0.0.1', target.port, credit);
        assert.equal((await opened.tunnel.ready).status, 200);
        return opened;
      };
      /** How the tunnel was over for the client. */
      const over = async ({ seen, connection }: Opened): Promise<string> => {
        await until(() => seen.over !== undefined, 'the end of the tunnel');
        await connection.close();
        return seen.over?.kind ?? '';
      };
      /** On HTTP/1.1 a reset is one of TCP, which is a loss of the connection. */
      const cut = version === 'h1' ? ['reset', 'lost'] : ['reset'];

      test('10 MB each way at once, whole, and an end each way', options, async () => {
        const size = 10 << 20;
        const target = await startTcpTarget(({ socket }) => {
          void (async () => {
            for (const piece of patterned(2, size)) {
              if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve));
            }
            socket.end();
          })();
        });
        const opened = await open(target);
        const { tunnel, seen } = opened;
        for (const piece of patterned(1, size)) {
          if (tunnel.write(piece, 0, piece.length)) continue;
          const before = seen.drains;
          await until(() => seen.drains > before, 'room to write');
        }
        tunnel.end();
        const side = await target.side();
        await until(() => side.ended && seen.ended, 'both ends');
        assert.equal(sha256Of(side.received), sha256Of(patterned(1, size)));
        assert.equal(sha256Of(seen.received), sha256Of(patterned(2, size)));
        assert.equal(await over(opened), 'ended');
      });

      test('W6: the client ends first and still gets all that the target says', options, async () => {
        const target = await startTcpTarget();
        const opened = await open(target);
        opened.send('question');
        opened.tunnel.end();
        const side = await target.side();
        await until(() => side.ended, 'the FIN at the target');
        assert.equal(side.text(), 'question');
        side.socket.end('a late answer');
        assert.equal(await over(opened), 'ended');
        assert.equal(opened.seen.text(), 'a late answer');
      });

      test('W6: the target ends first and still gets all that the client says', options, async () => {
        const target = await startTcpTarget();
        const opened = await open(target);
        const side = await target.side();
        side.socket.end('first');
        await until(() => opened.seen.ended, 'the end of the target');
        assert.equal(opened.seen.text(), 'first');
        opened.send('late bytes');
        await until(() => side.text() === 'late bytes', 'the late bytes');
        opened.tunnel.end();
        await until(() => side.ended, 'the FIN at the target');
        assert.equal(side.error, undefined);
        assert.equal(await over(opened), 'ended');
      });

      test('a reset by the target, with nothing queued, is a reset', options, async () => {
        const target = await startTcpTarget();
        const opened = await open(target);
        (await target.side()).socket.resetAndDestroy();
        assert.ok(cut.includes(await over(opened)));
        assert.equal(opened.seen.ended, false);
      });

      test('a reset by the target behind a megabyte that nobody reads is a reset', options, async () => {
        const target = await startTcpTarget();
        const opened = await open(target, 1);
        const side = await target.side();
        side.socket.write(Buffer.alloc(1 << 20, 7));
        await until(() => opened.seen.bytes === 1, 'the first byte');
        side.socket.resetAndDestroy();
        // A TLS socket that is not read hears nothing at all.
        if (version === 'h1') opened.tunnel.grant(1 << 21);
        assert.ok(cut.includes(await over(opened)));
        assert.equal(opened.seen.ended, false);
      });

      test('a reset by the client is an RST at the target', options, async () => {
        const target = await startTcpTarget();
        const opened = await open(target);
        const side = await target.side();
        opened.send('half of a');
        await until(() => side.text() === 'half of a', 'the first half');
        opened.tunnel.reset('cancelled');
        await until(() => side.error !== undefined || side.ended, 'the end at the target');
        assert.equal(side.error, 'ECONNRESET');
        assert.equal(side.ended, false);
        await opened.connection.close();
      });

      test('a client whose connection is lost is an RST at the target', options, async () => {
        const target = await startTcpTarget();
        const opened = await open(target);
        const side = await target.side();
        opened.send('half of a');
        await until(() => side.text() === 'half of a', 'the first half');
        await opened.connection.close();
        await until(() => side.error !== undefined || side.ended, 'the end at the target');
        // TLS over TCP that ends in order without the tunnel's own end: classic CONNECT cannot tell (engine.md).
        if (version === 'h1' && form.kind === 'connect') return;
        assert.equal(side.error, 'ECONNRESET');
      });

      test('a port that nobody listens on: 502 and connection_refused', options, async () => {
        const opened = await ask('127.0.0.1', await closedPort());
        const refused = await refusedBy(opened.tunnel.ready);
        assert.deepEqual([refused.status, refused.code], [502, 'ERR_TARGET_CLOSED']);
        assert.match(refused.proxyStatus ?? '', /error=connection_refused;details="ECONNREFUSED"/);
        await opened.connection.close();
      });

      test('a name that does not exist: 502 and dns_error', options, async () => {
        const opened = await ask('nowhere.invalid', 443);
        const refused = await refusedBy(opened.tunnel.ready);
        assert.ok(refused.status === 502 || refused.status === 504, String(refused.status));
        assert.match(refused.proxyStatus ?? '', /error=dns_(?:error|timeout)/);
        await opened.connection.close();
      });

      test('IPv6, and a name with both families where one only listens', options, async () => {
        for (const [host, address] of [
          ['::1', '::1'],
          ['localhost', '127.0.0.1'],
          ['localhost', '::1'],
        ] as const) {
          const target = await startTcpTarget(({ socket }) => socket.end('here'), address);
          const opened = await ask(host, target.port);
          const head = await opened.tunnel.ready;
          const hop = address === '::1' ? `[::1]:${target.port}` : `127.0.0.1:${target.port}`;
          assert.equal(new Map(head.fields).get('proxy-status'), `proxy;next-hop="${hop}"`);
          await until(() => opened.seen.ended, 'the end');
          assert.equal(opened.seen.text(), 'here');
          await opened.connection.close();
        }
      });

      test('S24: bytes before the answer arrive, and are gone with a refusal', options, async () => {
        const target = await startTcpTarget();
        const opened = await ask('127.0.0.1', target.port);
        const early = Buffer.alloc(100_000, 'early');
        opened.tunnel.write(early, 0, early.length);
        const side = await target.side();
        await until(() => side.text().length === early.length, 'the early bytes');
        assert.equal(side.text(), String(early));
        await opened.connection.close();
        const refused = await ask('127.0.0.1', await closedPort());
        refused.tunnel.write(early, 0, early.length);
        assert.equal((await refusedBy(refused.tunnel.ready)).status, 502);
        await refused.connection.close();
      });

      test('draining ends a tunnel within its time, with a reset', options, async () => {
        const target = await startTcpTarget();
        const opened = await open(target);
        const side = await target.side();
        opened.send('working');
        await until(() => side.text() === 'working', 'the bytes');
        assert.deepEqual(
          opened.proxy.tunnels().map(({ kind, target: to }) => [kind, to.port]),
          [['tcp', target.port]],
        );
        await opened.proxy.drain(200);
        await until(() => side.error !== undefined || side.ended, 'the end at the target');
        assert.equal(side.error, 'ECONNRESET');
        assert.ok(['reset', 'lost'].includes(await over(opened)));
      });
    });
  }
}
