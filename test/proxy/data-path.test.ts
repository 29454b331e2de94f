import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { HttpClientConnection } from '../../src/http/connection.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import type { ProxyEvent } from '../../src/proxy/events.js';
import type { ProxyOptions } from '../../src/proxy/options.js';
import type { RunningProxy } from '../../src/proxy/proxy.js';
import { control, headers, rawClientOn } from '../http/h3/raw-peer.js';
import { rawTunnel } from './raw-tunnel.js';
import { createDialler, openTunnel, type RealTunnel, startEcho, startProxy } from './real-proxy.js';

const limit = { timeout: 120_000 };

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `never: ${what}`);
    await wait(2);
  }
}

interface Ground {
  readonly proxy: RunningProxy;
  readonly events: ProxyEvent[];
  readonly connection: HttpClientConnection;
  readonly port: number;
}

const dialler = createDialler();

const versions = ['h3', 'h2', 'h1'] as const;

async function ground(options: Partial<ProxyOptions>, version: HttpVersion = 'h3'): Promise<Ground> {
  const { proxy, events } = await startProxy(options);
  const { port } = await startEcho();
  return { proxy, events, port, connection: await dialler.dial(version, proxy) };
}

const path = (proxy: RunningProxy): string | undefined => {
  const [tunnel] = proxy.tunnels();
  return tunnel?.kind === 'udp' ? tunnel.dataPath : undefined;
};

async function echoed(tunnel: RealTunnel, text: string): Promise<void> {
  assert.equal(tunnel.sendText(text), 'sent');
  assert.equal(String(await tunnel.next()), text);
}

const closedOf = (events: readonly ProxyEvent[]) =>
  events.find((event) => event.event === 'tunnel-closed') ?? assert.fail('no tunnel-closed event');

describe('the data path of a proxy', { ...limit, timeout: 600_000 }, () => {
  for (const version of versions) {
    test(`js, splice and auto move the same payloads and count them alike, ${version}`, async () => {
      for (const [dataPath, expected] of [
        ['js', 'js'],
        ['splice', 'splice'],
        ['auto', 'splice'],
      ] as const) {
        const { proxy, events, connection, port } = await ground({ dataPath }, version);
        const tunnel = openTunnel(connection, '127.0.0.1', port);
        tunnel.sendText('early');
        await tunnel.ready;
        assert.equal(String(await tunnel.next()), 'early');
        for (let count = 0; count < 39; count++) await echoed(tunnel, `payload ${count}`);
        assert.equal(path(proxy), expected);
        tunnel.end();
        await tunnel.closed;
        await until(() => events.some(({ event }) => event === 'tunnel-closed'), 'the end of the tunnel');
        const end = closedOf(events);
        assert.ok('statistics' in end && end.kind === 'udp');
        assert.equal(end.dataPath, expected);
        assert.equal(end.reason, 'client');
        const { payloadsIn, payloadsOut, bytesIn, bytesOut } = end.statistics;
        assert.deepEqual([payloadsIn, payloadsOut, bytesIn, bytesOut], [40, 40, bytesOut, bytesIn], dataPath);
        await connection.close();
      }
    });
  }

  test('SETTINGS beside the first request are known to it; where they come later, the splice begins later', async () => {
    for (const order of ['together', 'late'] as const) {
      const { proxy } = await startProxy({ dataPath: 'splice' });
      const echo = await startEcho();
      const peer = await rawClientOn(dialler.engine, {
        remote: { address: '127.0.0.1', port: proxy.addresses[0]?.port ?? 0 },
        tls: { serverName: 'localhost', alpn: ['h3'], trust: { mode: 'insecure' } },
      });
      const stream = peer.open(
        headers(
          [':method', 'CONNECT'],
          [':protocol', 'connect-udp'],
          [':scheme', 'https'],
          [':authority', 'localhost'],
          [':path', `/.well-known/masque/udp/127.0.0.1/${echo.port}/`],
          ['capsule-protocol', '?1'],
        ),
      );
      if (order === 'late') await until(() => stream.received.length > 0, 'the answer');
      peer.openUnidirectional(control());
      await until(() => stream.received.length > 0, 'the answer');
      if (order === 'together') {
        assert.equal(path(proxy), 'splice', order);
      } else {
        assert.equal(path(proxy), 'js', order);
        for (let count = 1; count <= 64; count++) {
          peer.datagram(Uint8Array.of(0, 0, count));
          await until(() => peer.datagrams.length === count, `payload ${count}`);
        }
        assert.equal(path(proxy), 'splice', order);
      }
      const before = peer.datagrams.length;
      peer.datagram(Uint8Array.of(0, 0, 99));
      await until(() => peer.datagrams.length > before, 'a payload through the splice');
      peer.quic.close(0x100, '');
    }
  });

  test('auto leaves a short exchange with JavaScript', async () => {
    for (const version of versions) {
      const { proxy, connection, port } = await ground({ dataPath: 'auto' }, version);
      const short = openTunnel(connection, '127.0.0.1', port);
      await short.ready;
      for (let count = 0; count < 4; count++) await echoed(short, 'short');
      assert.equal(path(proxy), 'js', version);
      await connection.close();
    }
  });

  test('DATAGRAM capsules and unknown contexts pass a splice by', async () => {
    const { proxy, connection, port } = await ground({ dataPath: 'splice' });
    const raw = await rawTunnel(connection, {
      path: `/.well-known/masque/udp/127.0.0.1/${port}/`,
      fields: [['capsule-protocol', '?1']],
    });
    assert.equal((await raw.response).status, 200);
    assert.equal(path(proxy), 'splice');
    // A DATAGRAM capsule with context 0; then one with context 2.
    raw.write(Buffer.from([0, 4, 0, 1, 2, 3]));
    assert.deepEqual([...(await raw.payload())], [1, 2, 3]);
    raw.write(Buffer.from([0, 2, 2, 9]));
    const statistics = () => {
      const [tunnel] = proxy.tunnels();
      return tunnel?.kind === 'udp' ? tunnel.statistics : assert.fail('no tunnel');
    };
    await until(() => statistics().droppedInUnknownContext === 1, 'a counted drop');
    assert.equal(statistics().payloadsIn, 1);
    assert.equal(statistics().payloadsOut, 1);
    await connection.close();
  });

  for (const version of versions) {
    test(`a spliced tunnel that carries payloads stays, an idle one ends, ${version}`, async () => {
      const { proxy, events, connection, port } = await ground(
        { dataPath: 'splice', limits: { udpIdleTimeout: 400 } },
        version,
      );
      const tunnel = openTunnel(connection, '127.0.0.1', port);
      await tunnel.ready;
      for (const began = performance.now(); performance.now() - began < 1_500; ) {
        await echoed(tunnel, 'alive');
        await wait(20);
      }
      assert.equal(path(proxy), 'splice');
      assert.equal((await tunnel.closed).kind, 'ended');
      await until(() => events.some(({ event }) => event === 'tunnel-closed'), 'the end of the tunnel');
      const end = closedOf(events);
      assert.equal('reason' in end && end.reason, 'idle');
      await connection.close();
    });

    test(`a target that is gone resets a spliced tunnel, ${version}`, async () => {
      const { proxy, events, connection } = await ground({ dataPath: 'splice' }, version);
      const target = await startEcho();
      const tunnel = openTunnel(connection, '127.0.0.1', target.port);
      await tunnel.ready;
      for (let count = 0; count < 20; count++) await echoed(tunnel, 'there');
      assert.equal(path(proxy), 'splice');
      target.socket.close();
      const nagging = setInterval(() => tunnel.sendText('still there?'), 5);
      const outcome = await tunnel.closed;
      clearInterval(nagging);
      // RST says no more.
      const reason = version === 'h1' ? 'unknown' : 'connect-error';
      assert.ok(outcome.kind === 'reset' && outcome.reason === reason, JSON.stringify(outcome));
      await until(() => events.some(({ event }) => event === 'tunnel-closed'), 'the end of the tunnel');
      assert.equal('detail' in closedOf(events) && closedOf(events).reason, 'target');
      await connection.close();
    });

    test(`ends, resets, losses and kills around the hand-over leave nothing behind, ${version}`, async () => {
      const ways = ['end', 'reset', 'lost', 'drain', 'close'] as const;
      // From before the first payload to well after the splice has begun.
      for (const payloads of [0, 1, 15, 16, 17, 40]) {
        for (const way of ways) {
          for (const dataPath of ['auto', 'splice'] as const) {
            const what = `${way} after ${payloads} payloads, ${dataPath}`;
            const { proxy, events, connection, port } = await ground({ dataPath, drainTimeout: 1 }, version);
            const tunnel = openTunnel(connection, '127.0.0.1', port);
            await tunnel.ready;
            for (let count = 0; count < payloads; count++) tunnel.sendText(`payload ${count}`);
            if (payloads % 2 === 0) await wait(1);
            if (way === 'end') tunnel.end();
            else if (way === 'reset') tunnel.reset('cancelled');
            else if (way === 'lost') void connection.close();
            else if (way === 'drain') void proxy.drain();
            else void proxy.close();
            const outcome = await tunnel.closed;
            if (way === 'end') assert.equal(outcome.kind, 'ended', what);
            if (way === 'reset') assert.equal(outcome.kind, 'reset', what);
            if (way === 'lost') assert.equal(outcome.kind, 'lost', what);
            await until(() => proxy.info().tunnels.open === 0, what);
            await until(() => events.some(({ event }) => event === 'tunnel-closed'), what);
            const end = closedOf(events);
            assert.ok('statistics' in end && end.kind === 'udp');
            assert.ok(end.statistics.payloadsIn <= payloads, what);
            await connection.close();
            await proxy.close();
          }
        }
      }
    });

    test(`a running splice stops within 100 ms of a kill, ${version}`, async (context) => {
      const times: number[] = [];
      for (let round = 0; round < 5; round++) {
        const { proxy, connection } = await ground({ dataPath: 'splice' }, version);
        const target = await startEcho();
        let arrived = 0;
        target.socket.on('message', () => {
          arrived = performance.now();
        });
        const tunnel = openTunnel(connection, '127.0.0.1', target.port);
        await tunnel.ready;
        const sending = setInterval(() => {
          for (let count = 0; count < 10; count++) tunnel.sendText('more and more');
        }, 1);
        await until(() => arrived > 0 && path(proxy) === 'splice', 'payloads');
        await wait(20);
        const killed = performance.now();
        const closed = proxy.close();
        await tunnel.closed;
        await closed;
        await wait(20);
        clearInterval(sending);
        times.push(arrived - killed);
        await connection.close();
      }
      times.sort((a, b) => a - b);
      context.diagnostic(
        `the last payload came ${times.map((time) => time.toFixed(1)).join(', ')} ms after it`,
      );
      assert.ok((times[2] ?? Number.NaN) < 100, `${times}`);
    });
  }

  test('another word is refused', async () => {
    await assert.rejects(startProxy({ dataPath: 'fast' as 'js' }), { code: 'ERR_USAGE' });
  });
});
