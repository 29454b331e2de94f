import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectionClose } from '../../src/http/connection.js';
import type { LossReason } from '../../src/http/tunnel-stream.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { selfSigned, spkiPin } from '../../src/quic/native/index.js';
import { openTunnel, startEcho } from '../proxy/real-proxy.js';
import { startChildProxy } from './child-proxy.js';
import { createFaultDialler } from './dial.js';
import { startNat } from './nat.js';
import { thereAndBack } from './round-trips.js';

const settings = { timeout: 120_000 };
const versions: readonly HttpVersion[] = ['h3', 'h2', 'h1'];

describe('the proxy is killed in mid-flight', { ...settings, timeout: 600_000, concurrency: true }, () => {
  const idleTimeout = 1_500;
  const cases: readonly (readonly [HttpVersion, readonly LossReason[], number])[] = [
    // Nobody answers: the idle time tells (RFC 9000 section 10.1); the kernel closes TCP at once.
    ['h3', ['timeout'], idleTimeout],
    ['h2', ['reset'], 0],
    // A FIN without close_notify is also how HTTP/1.1 ends a connection in the middle of a tunnel.
    ['h1', ['reset', 'peer-closed'], 0],
  ];
  for (const [version, reasons, time] of cases) {
    test(`over ${version} every tunnel is lost by ${reasons.join(' or ')}`, settings, async (t) => {
      const proxy = await startChildProxy();
      const dialler = createFaultDialler();
      const { port } = await startEcho();
      const closes: ConnectionClose[] = [];
      const connection = await dialler.dial(version, proxy, {
        handler: { closed: (close) => closes.push(close) },
        transport: { idleTimeout },
      });
      const tunnels = Array.from({ length: version === 'h1' ? 1 : 20 }, () =>
        openTunnel(connection, '127.0.0.1', port),
      );
      for (const tunnel of tunnels) await tunnel.ready;
      for (const tunnel of tunnels) await thereAndBack(tunnel, 'before');
      const sending = setInterval(() => {
        for (const tunnel of tunnels) tunnel.sendText('in flight');
      }, 5);
      await delay(30);
      const began = performance.now();
      await proxy.kill();
      const outcomes = await Promise.all(tunnels.map(({ closed }) => closed));
      const took = performance.now() - began;
      clearInterval(sending);
      t.diagnostic(`told after ${Math.round(took)} ms: ${JSON.stringify(outcomes[0])}`);
      for (const outcome of outcomes) {
        // A TCP reset is how HTTP/1.1 aborts its one tunnel.
        if (version === 'h1' && outcome.kind === 'reset') assert.equal(outcome.by, 'peer');
        else assert.ok(outcome.kind === 'lost' && reasons.includes(outcome.reason), JSON.stringify(outcome));
      }
      const close = await connection.closed;
      assert.ok(reasons.includes(close.reason), close.reason);
      assert.deepEqual(closes, [close]);
      assert.ok(took < time + 15_000, `${took} ms`);
      assert.equal(connection.usable, false);
    });
  }

  test(
    'over h3 one that was started again on its port serves new connections; the old are lost',
    settings,
    async (t) => {
      const proxy = await startChildProxy();
      const dialler = createFaultDialler();
      const { port } = await startEcho();
      const connection = await dialler.dial('h3', proxy, { transport: { idleTimeout } });
      const tunnel = openTunnel(connection, '127.0.0.1', port);
      await tunnel.ready;
      await thereAndBack(tunnel, 'before');
      await proxy.kill();
      const again = await startChildProxy({ listen: `127.0.0.1:${proxy.port}` });
      const sending = setInterval(() => tunnel.sendText('anyone there?'), 20);
      const began = performance.now();
      const outcome = await tunnel.closed;
      clearInterval(sending);
      const took = performance.now() - began;
      t.diagnostic(`told after ${Math.round(took)} ms: ${JSON.stringify(outcome)}`);
      assert.equal(outcome.kind, 'lost');
      assert.ok(took < idleTimeout + 15_000, `${took} ms`);
      const next = await dialler.dial('h3', { port: again.port, ca: again.ca });
      const more = openTunnel(next, '127.0.0.1', port);
      await more.ready;
      await thereAndBack(more, 'again');
      await next.close();
    },
  );
});

describe('a target that vanishes', { ...settings, timeout: 600_000 }, () => {
  for (const version of versions) {
    test(`S10: over ${version} the ICMP error ends that tunnel and no other`, settings, async () => {
      const proxy = await startChildProxy();
      const dialler = createFaultDialler();
      const [echo, other] = [await startEcho(), await startEcho()];
      const connection = await dialler.dial(version, proxy);
      const beside = version === 'h1' ? await dialler.dial(version, proxy) : connection;
      const tunnel = openTunnel(connection, '127.0.0.1', echo.port);
      const stays = openTunnel(beside, '127.0.0.1', other.port);
      await thereAndBack(tunnel, 'flowing');
      await thereAndBack(stays, 'flowing too');
      let running = true;
      tunnel.closed.then(() => {
        running = false;
      });
      const began = performance.now();
      echo.socket.close();
      while (running && performance.now() - began < 30_000) {
        tunnel.sendText('into the void');
        await delay(5);
      }
      const outcome = await tunnel.closed;
      assert.ok(outcome.kind === 'reset' && outcome.by === 'peer', JSON.stringify(outcome));
      if (version !== 'h1') assert.equal(outcome.reason, 'connect-error');
      await thereAndBack(stays, 'still flowing');
      const end = (await proxy.events()).find(({ event }) => event === 'tunnel-closed');
      assert.ok(end?.event === 'tunnel-closed');
      assert.deepEqual([end.reason, end.detail], ['target', 'ECONNREFUSED']);
      await connection.close();
      await beside.close();
    });
  }
});

describe('the certificate is replaced while tunnels run', { ...settings, timeout: 600_000 }, () => {
  for (const version of versions) {
    test(`over ${version} tunnels go on, and new handshakes see the new one`, settings, async () => {
      const proxy = await startChildProxy();
      const dialler = createFaultDialler();
      const { port } = await startEcho();
      const connection = await dialler.dial(version, proxy);
      const tunnel = openTunnel(connection, '127.0.0.1', port);
      await thereAndBack(tunnel, 'before');
      const fresh = selfSigned(['localhost', '127.0.0.1'], 30);
      assert.notEqual(spkiPin(Buffer.from(fresh.cert)), spkiPin(Buffer.from(proxy.ca)));
      let asked = true;
      const flow = (async () => {
        while (asked) await thereAndBack(tunnel, 'meanwhile');
      })();
      await proxy.setCertificate(fresh);
      await assert.rejects(
        dialler.dial(version, proxy),
        (error: Error) => 'code' in error && String(error.code).startsWith('ERR_CERTIFICATE'),
      );
      const next = await dialler.dial(version, { port: proxy.port, ca: fresh.cert });
      const more = openTunnel(next, '127.0.0.1', port);
      await thereAndBack(more, 'by the new one');
      asked = false;
      await flow;
      await thereAndBack(tunnel, 'after');
      // One that cannot be used changes nothing.
      await assert.rejects(
        proxy.setCertificate({ cert: 'nonsense', key: fresh.key }),
        /ERR_CERTIFICATE_FILE/,
      );
      await (await dialler.dial(version, { port: proxy.port, ca: fresh.cert })).close();
      await Promise.all([connection.close(), next.close()]);
    });
  }
});

describe('a client whose address changes', { ...settings, timeout: 600_000 }, () => {
  test('behind a NAT that gives it other ports, ten times: its tunnels go on', settings, async (t) => {
    const proxy = await startChildProxy();
    const dialler = createFaultDialler();
    const { port } = await startEcho();
    const nat = await startNat(proxy.port);
    const connection = await dialler.dial('h3', { port: nat.port, ca: proxy.ca });
    const tunnels = Array.from({ length: 10 }, () => openTunnel(connection, '127.0.0.1', port));
    for (const tunnel of tunnels) await thereAndBack(tunnel, 'before');
    const times: number[] = [];
    for (let change = 0; change < 10; change++) {
      const before = nat.outerPort;
      await nat.rebind();
      assert.notEqual(nat.outerPort, before);
      const began = performance.now();
      await Promise.all(tunnels.map((tunnel, index) => thereAndBack(tunnel, `change ${change}, ${index}`)));
      times.push(Math.round(performance.now() - began));
    }
    t.diagnostic(`milliseconds until all ten tunnels flowed again: ${times.join(' ')}`);
    assert.equal((await proxy.info()).connections, 1);
    assert.equal((await proxy.info()).tunnels.opened, 10);
    await connection.close();
  });

  test('by its own doing: tunnels go on and the target sees the same source', settings, async () => {
    const proxy = await startChildProxy();
    const dialler = createFaultDialler();
    const target = createSocket('udp4');
    const sources = new Set<number>();
    target.on('message', (message, from) => {
      sources.add(from.port);
      target.send(message, from.port, from.address);
    });
    await new Promise<void>((resolve) => target.bind(0, '127.0.0.1', resolve));
    const { connection, quic } = await dialler.dialQuic(proxy);
    const tunnel = openTunnel(connection, '127.0.0.1', target.address().port);
    await thereAndBack(tunnel, 'before');
    for (let change = 0; change < 5; change++) {
      const before = quic.localAddress.port;
      await quic.rebind?.();
      assert.notEqual(quic.localAddress.port, before);
      await thereAndBack(tunnel, `change ${change}`);
    }
    assert.equal(sources.size, 1);
    target.close();
    await connection.close();
  });
});
