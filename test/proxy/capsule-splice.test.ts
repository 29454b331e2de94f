import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import type { HttpClientConnection } from '../../src/http/connection.js';
import { encodeCapsule } from '../../src/protocol/capsule.js';
import type { RunningProxy } from '../../src/proxy/proxy.js';
import type { UdpTunnelStatistics } from '../../src/tunnel/udp/tunnel-statistics.js';
import { until } from '../quic/pair.js';
import { type RawTunnel, rawTunnel } from './raw-tunnel.js';
import { createDialler, startEcho, startProxy } from './real-proxy.js';

const dialler = createDialler('engine');
const versions = ['h2', 'h1'] as const;
const paths = ['js', 'splice', 'auto'] as const;

/** A tunnel to a target whose capsules a test writes. */
interface CapsuleTunnel extends Pick<RawTunnel, 'closed' | 'grant' | 'end'> {
  readonly payloads: Buffer[];
  write(...capsules: readonly Uint8Array[]): void;
}

async function openCapsules(
  connection: HttpClientConnection,
  port: number,
  credit = 2 ** 40,
): Promise<CapsuleTunnel> {
  const path = `/.well-known/masque/udp/127.0.0.1/${port}/`;
  const raw = await rawTunnel(connection, { path, fields: [['capsule-protocol', '?1']], credit });
  assert.equal((await raw.response).status, 200);
  return {
    ...raw,
    get payloads() {
      assert.equal(raw.datagrams.length, 0, 'a QUIC datagram');
      return raw.capsules.map((capsule) => {
        assert.equal(capsule[0], 0, 'the context');
        return capsule.subarray(1);
      });
    },
    write: (...capsules) => raw.write(Buffer.concat(capsules)),
  };
}

const datagram = (text: string): Uint8Array => encodeCapsule(0, Buffer.from(`\0${text}`));

function running(proxy: RunningProxy): {
  readonly statistics: UdpTunnelStatistics;
  readonly dataPath: string;
} {
  const [tunnel] = proxy.tunnels();
  return tunnel?.kind === 'udp' ? tunnel : assert.fail('no tunnel');
}

describe('UDP in capsules, moved by the engine', { timeout: 120_000 }, () => {
  for (const version of versions) {
    test(`the same is counted and carried by each path, ${version}`, async () => {
      const results: unknown[] = [];
      for (const dataPath of paths) {
        const { proxy } = await startProxy({ dataPath });
        const connection = await dialler.dial(version, proxy);
        const echo = await startEcho();
        const tunnel = await openCapsules(connection, echo.port);
        const expected: string[] = [];
        const say = (...texts: string[]): void => {
          expected.push(...texts);
          tunnel.write(...texts.map(datagram));
        };
        for (let count = 0; count < 30; count++) {
          say(`payload ${count}`);
          await until(() => tunnel.payloads.length === expected.length);
        }
        // A reserved type, another context, no context, one that is cut off, and an empty payload.
        tunnel.write(encodeCapsule(0x17, Buffer.alloc(300)), encodeCapsule(0, Uint8Array.of(2, 9)));
        tunnel.write(encodeCapsule(0, Buffer.alloc(0)), encodeCapsule(0, Uint8Array.of(0x40)));
        tunnel.write(encodeCapsule(0, Buffer.from([0x40, 0, ...Buffer.from('a longer zero')])));
        expected.push('a longer zero');
        say('', 'x'.repeat(1_000), 'y'.repeat(60_000), 'last');
        await until(() => tunnel.payloads.length === expected.length);
        assert.deepEqual(tunnel.payloads.map(String), expected, dataPath);
        const { statistics, dataPath: path } = running(proxy);
        assert.equal(path, dataPath === 'js' ? 'js' : 'splice');
        results.push(statistics);
        await connection.close();
      }
      assert.deepEqual(results[1], results[0]);
      assert.deepEqual(results[2], results[0]);
      const counted = results[0] as UdpTunnelStatistics;
      assert.deepEqual([counted.droppedInUnknownContext, counted.droppedInMalformed], [1, 2]);
    });

    test(`capsules cut anywhere pass the hand-over, in order and whole, ${version}`, async () => {
      for (let round = 0; round < 20; round++) {
        const { proxy } = await startProxy({ dataPath: round % 2 ? 'auto' : 'splice' });
        const connection = await dialler.dial(version, proxy);
        const echo = await startEcho();
        const tunnel = await openCapsules(connection, echo.port);
        const expected = Array.from({ length: 60 }, (_, index) => `${index} ${'z'.repeat(randomInt(3_000))}`);
        const bytes = Buffer.concat(
          expected.flatMap((text) => [datagram(text), encodeCapsule(0x17, Buffer.alloc(randomInt(20)))]),
        );
        for (let at = 0; at < bytes.length; ) {
          const length = 1 + randomInt(4_000);
          tunnel.write(bytes.subarray(at, at + length));
          at += length;
          if (randomInt(4) === 0) await wait(0);
        }
        await until(() => tunnel.payloads.length === expected.length);
        assert.deepEqual(tunnel.payloads.map(String), expected);
        assert.equal(running(proxy).dataPath, 'splice');
        await connection.close();
        await proxy.close();
      }
    });

    test(`S6: a datagram that is too long, or cut off by the end, resets the tunnel as before, ${version}`, async () => {
      const faulty = async (dataPath: (typeof paths)[number], fault: string, size: number, at: string) => {
        const { proxy, events } = await startProxy({ dataPath });
        const connection = await dialler.dial(version, proxy);
        const echo = await startEcho();
        const tunnel = await openCapsules(connection, echo.port);
        // Well after the hand-over, or in the middle of it.
        const before = Array.from({ length: 20 }, () => datagram('before'));
        if (at === 'later') {
          tunnel.write(...before);
          await until(() => tunnel.payloads.length === before.length);
        }
        const whole = datagram('x'.repeat(size));
        const last = fault === 'cut' ? whole.subarray(0, 50) : whole;
        if (at === 'later') tunnel.write(last);
        else tunnel.write(...before, last);
        if (fault === 'cut') tunnel.end();
        const outcome = await tunnel.closed;
        await until(() => events.some(({ event }) => event === 'tunnel-closed'));
        const end = events.find(({ event }) => event === 'tunnel-closed');
        assert.ok(end && 'reason' in end && outcome.kind === 'reset');
        await connection.close();
        return [outcome.reason, end.reason];
      };
      for (const [fault, size] of [
        ['long', 65_528],
        ['longer', 70_000],
        ['cut', 100],
      ] as const) {
        for (const at of ['later', 'at once']) {
          const expected = await faulty('js', fault, size, at);
          assert.equal(expected[1], 'protocol');
          for (const path of ['splice', 'auto'] as const) {
            assert.deepEqual(await faulty(path, fault, size, at), expected, `${path}, ${fault}, ${at}`);
          }
        }
      }
    });

    test(`a client that has not read for a while gets what is new, not what waited, ${version}`, async (context) => {
      const { proxy } = await startProxy({ dataPath: 'splice' });
      const connection = await dialler.dial(version, proxy);
      const echo = await startEcho();
      let from: { port: number; address: string } | undefined;
      echo.socket.removeAllListeners('message');
      echo.socket.on('message', (_, peer) => {
        from = peer;
      });
      const tunnel = await openCapsules(connection, echo.port, 0);
      tunnel.write(datagram('here'));
      await until(() => from !== undefined);
      const began = performance.now();
      const sent = (): Buffer => Buffer.from(String(performance.now() - began).padEnd(1_200));
      const flooding = setInterval(() => {
        for (let count = 0; count < 40; count++) echo.socket.send(sent(), from?.port, from?.address);
      }, 2);
      await wait(1_500);
      const stalled = running(proxy).statistics;
      assert.ok(stalled.droppedOutQueueFull > 1_000, `${stalled.droppedOutQueueFull} dropped`);
      // What was taken lies in windows, in the kernel, and in the queue of 256 KiB.
      tunnel.grant(2 ** 40);
      await wait(700);
      const resumed = performance.now() - began;
      await wait(200);
      clearInterval(flooding);
      const late = tunnel.payloads.slice(-20).map((payload) => resumed + 200 - Number(String(payload)));
      context.diagnostic(`the last came ${Math.max(...late).toFixed(0)} ms late at most`);
      assert.ok(Math.max(...late) < 500, `${late}`);
      await connection.close();
    });
  }

  test('a reset in the middle of a flood over HTTP/1.1 makes no packets that nobody sent', async () => {
    const { proxy } = await startProxy({ dataPath: 'splice' });
    const port = proxy.addresses.find(({ transport }) => transport === 'tcp')?.port ?? 0;
    const target = await startEcho();
    const sizes = new Set<number>();
    target.socket.removeAllListeners('message');
    target.socket.on('message', ({ length }) => sizes.add(length));
    // Read from another place than its start it has capsules of one byte.
    const capsule = datagram('\0\x02\0'.repeat(40));
    const many = Buffer.concat(Array.from({ length: 500 }, () => capsule));
    for (let round = 0; round < 4; round++) {
      const raw = connectTcp(port, '127.0.0.1');
      const client = connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
      for (const socket of [raw, client]) socket.on('error', () => undefined);
      await once(client, 'secureConnect');
      client.write(
        `GET /.well-known/masque/udp/127.0.0.1/${target.port}/ HTTP/1.1\r\nHost: localhost\r\n` +
          'Connection: Upgrade\r\nUpgrade: connect-udp\r\nCapsule-Protocol: ?1\r\n\r\n',
      );
      await once(client, 'data');
      for (const began = performance.now(); performance.now() - began < 250; ) {
        if (!client.write(many)) await once(client, 'drain');
      }
      raw.resetAndDestroy();
      await until(() => proxy.info().tunnels.open === 0);
      await wait(50);
    }
    assert.deepEqual([...sizes], [120]);
  });

  test('a target that floods one tunnel of a connection leaves the others theirs: 100 echoes, none lost', async (t) => {
    const { proxy } = await startProxy({ dataPath: 'splice' });
    const connection = await dialler.dial('h2', proxy);
    const [echo, flood] = [await startEcho(), await startEcho()];
    let from: { port: number; address: string } | undefined;
    flood.socket.removeAllListeners('message');
    flood.socket.on('message', (_, peer) => {
      from = peer;
    });
    const flooded = await openCapsules(connection, flood.port);
    const beside = await openCapsules(connection, echo.port);
    flooded.write(datagram('here'));
    await until(() => from !== undefined);
    const packet = Buffer.alloc(1_100, 1);
    const flooding = setInterval(() => {
      for (let count = 0; count < 100; count++) flood.socket.send(packet, from?.port, from?.address);
    }, 1);
    const times: number[] = [];
    for (let count = 1; count <= 100; count++) {
      const began = performance.now();
      beside.write(datagram(`echo ${count}`));
      await until(() => beside.payloads.length === count);
      times.push(performance.now() - began);
    }
    clearInterval(flooding);
    assert.equal(String(beside.payloads.at(-1)), 'echo 100');
    times.sort((one, other) => one - other);
    t.diagnostic(
      `${flooded.payloads.length} of the flood; an echo took ${times[50]?.toFixed(1)} ms in the median`,
    );
    assert.ok(flooded.payloads.length > 1_000);
    await connection.close();
  });

  test('with two threads the socket of a tunnel is on that of its connection', async () => {
    const { proxy } = await startProxy({ dataPath: 'splice', shards: 2 });
    const echo = await startEcho();
    for (const version of versions) {
      for (let round = 0; round < 6; round++) {
        const connection = await dialler.dial(version, proxy);
        const tunnel = await openCapsules(connection, echo.port);
        for (let count = 1; count <= 3; count++) {
          tunnel.write(datagram('there'));
          await until(() => tunnel.payloads.length === count);
        }
        assert.equal(running(proxy).dataPath, 'splice');
        await connection.close();
        await until(() => proxy.info().tunnels.open === 0);
      }
    }
  });
});
