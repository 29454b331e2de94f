import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { connect, connectCore } from '../../src/client/connect.js';
import { createPasswordStore } from '../../src/proxy/password-store.js';
import { freePort } from '../free-port.js';
import { failure, portsAsked, startHop, until } from './chain-hop.js';
import { startEcho } from './echo-server.js';
import { slowClock } from './slow-clock.js';
import { startTcpEcho, startTcpTarget } from './tcp-target.js';
import { startTestProxy } from './test-proxy.js';

const limit = { timeout: 120_000 };

async function digestOf(stream: Duplex): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of stream) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

for (const version of ['h3', 'h2', 'h1'] as const) {
  test(
    `C6: nested over ${version}: 2 MB through two and through three proxies, each knows only the next`,
    limit,
    async () => {
      const data = randomBytes(2_000_000);
      const expected = createHash('sha256').update(data).digest('hex');
      await using echo = await startTcpEcho();
      for (const count of [2, 3]) {
        await using a = await startHop('one');
        await using b = await startHop('two');
        await using c = await startHop('three');
        const hops = [a, b, c].slice(0, count);
        const [first = '', ...rest] = hops.map(({ link }) => link);
        await using client = await connect([first, ...rest], { versions: [version] });
        const tunnel = await client.openTcp(echo.target);
        tunnel.end(data);
        assert.equal(await digestOf(tunnel), expected);
        assert.deepEqual(await tunnel.outcome, { kind: 'ended' });
        assert.deepEqual(
          client.info().hops.map((hop) => hop.version),
          hops.map(() => version),
        );
        const asked = hops.map((hop) => [...new Set(portsAsked(hop))]);
        assert.deepEqual(asked, [...hops.slice(1).map(({ port }) => [port]), [echo.port]]);
      }
    },
  );
}

for (const version of ['h2', 'h1'] as const) {
  test(`C6: nested over ${version}, datagrams are carried too`, limit, async () => {
    await using echo = await startEcho();
    await using a = await startHop('one');
    await using b = await startHop('two');
    await using client = await connect([a.link, b.link], { versions: [version] });
    await using tunnel = await client.openUdp(echo.target);
    const answer = once(tunnel, 'message');
    tunnel.send('over TCP');
    assert.equal(String((await answer)[0]), 'over TCP');
  });

  test(`C6: nested over ${version}, errors tell the hop`, limit, async () => {
    await using a = await startHop('one');
    await using b = await startHop('two');
    const versions = [version];
    const wrong = (link: string): string => link.replace(/user:\w+@/, 'user:guess@');
    const otherPin = (link: string): string => link.replace(/sha256-.*/, `sha256-${'A'.repeat(43)}`);
    await assert.rejects(connect([a.link, otherPin(b.link)], { versions }), failure('ERR_PIN_MISMATCH', 1));
    await assert.rejects(connect([wrong(a.link), b.link], { versions }), failure('ERR_CREDENTIALS', 0));
    const refused = b.link.replace('127.0.0.1', '10.0.0.1');
    await assert.rejects(connect([a.link, refused], { versions }), failure('ERR_TARGET_REFUSED', 0));
    await using client = await connect([a.link, wrong(b.link)], { versions });
    await assert.rejects(client.openTcp('127.0.0.1:9'), failure('ERR_CREDENTIALS', 1));
    await using other = await connect([a.link, b.link], { versions });
    await assert.rejects(other.openTcp('10.0.0.1:9'), failure('ERR_TARGET_REFUSED', 1));
  });

  test(
    `C6: nested over ${version}, the loss of the outer connection ends the inner one, and both come back`,
    limit,
    async () => {
      await using echo = await startTcpEcho();
      await using b = await startHop('two');
      await using a = await startHop('one');
      await using client = await connect([a.link, b.link], { versions: [version] });
      const tunnel = await client.openTcp(echo.target);
      tunnel.write('before');
      assert.equal(String((await once(tunnel, 'data'))[0]), 'before');
      const failed = once(tunnel, 'error');
      await a.proxy.close();
      const [error] = await failed;
      assert.ok(error.code === 'ERR_CONNECTION_LOST' || error.code === 'ERR_TUNNEL_RESET', String(error));
      const end = await tunnel.outcome;
      assert.ok(end.kind === 'lost' && end.error.code === 'ERR_CONNECTION_LOST', end.kind);
      await using again = await startTestProxy({
        listen: `127.0.0.1:${a.port}`,
        tls: a.tls,
        authenticate: createPasswordStore([['user', 'one']]).authenticate,
      });
      assert.equal(again.port, a.port);
      const next = await client.openTcp(echo.target);
      next.end('after');
      assert.equal(await digestOf(next), createHash('sha256').update('after').digest('hex'));
    },
  );

  test(`C6: nested over ${version}, closing ends every hop, and every hop hears of it`, limit, async () => {
    await using echo = await startTcpEcho();
    await using a = await startHop('one');
    await using b = await startHop('two');
    const client = await connect([a.link, b.link], { versions: [version] });
    const tunnel = await client.openTcp(echo.target);
    tunnel.write('x');
    await once(tunnel, 'data');
    await client.close();
    assert.deepEqual(await tunnel.outcome, { kind: 'reset', by: 'local', reason: 'cancelled' });
    await until(() => a.proxy.info().connections + b.proxy.info().connections === 0, 'no connection is left');
    // Their targets' sockets may be over a moment later.
    await until(() => a.proxy.info().tunnels.open + b.proxy.info().tunnels.open === 0, 'no tunnel is left');
  });
}

test(
  'C6: nested, a hop that only TCP leads to is reached by HTTP/2 through the hop before',
  limit,
  async () => {
    await using echo = await startTcpEcho();
    await using a = await startHop('one');
    await using b = await startHop('two');
    // The same port answers over TCP, and swallows what comes over UDP.
    const port = await freePort('udp');
    await using onlyTcp = await startTcpTarget(
      (socket) => {
        const onward = connectSocket(b.port, '127.0.0.1');
        onward.on('error', () => socket.destroy());
        socket.on('error', () => onward.destroy());
        socket.pipe(onward).pipe(socket);
      },
      '127.0.0.1',
      port,
    );
    const silent = createSocket('udp4').bind(onlyTcp.port, '127.0.0.1');
    await once(silent, 'listening');
    await using client = await connectCore(
      [a.link, b.link.replace(`:${b.port}/`, `:${onlyTcp.port}/`)],
      {},
      slowClock(),
    );
    const tunnel = await client.openTcp(echo.target);
    tunnel.end('around');
    assert.equal(await digestOf(tunnel), createHash('sha256').update('around').digest('hex'));
    const { hops, udpBlocked } = client.info();
    assert.deepEqual([hops.map((hop) => hop.version), udpBlocked], [['h3', 'h2'], true]);
    silent.close();
  },
);
