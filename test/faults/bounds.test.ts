import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { encodeVarint } from '../../src/protocol/varint.js';
import { rawTunnel } from '../proxy/raw-tunnel.js';
import { openTunnel, type RealTunnel, startEcho } from '../proxy/real-proxy.js';
import { startChildProxy } from './child-proxy.js';
import { createFaultDialler } from './dial.js';

const settings = { timeout: 120_000 };
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
const versions: readonly HttpVersion[] = ['h3', 'h2', 'h1'];

async function stillRuns(tunnel: RealTunnel): Promise<void> {
  tunnel.sendText('still here');
  assert.equal(String(await tunnel.next()), 'still here');
}

describe('what one peer can cost', { ...settings, timeout: 600_000 }, () => {
  for (const version of versions) {
    test(
      `over ${version} header sections of 200 kB are refused, and nobody else is troubled`,
      settings,
      async (t) => {
        const proxy = await startChildProxy();
        const dialler = createFaultDialler();
        const { port } = await startEcho();
        const other = openTunnel(await dialler.dial('h3', proxy), '127.0.0.1', port);
        await other.ready;
        const before = await proxy.memory();
        const outcomes = new Set<string>();
        for (let count = 0; count < 20; count++) {
          const connection = await dialler.dial(version, proxy);
          const fields = Array.from({ length: 50 }, (_, at) => [`x-${at}`, 'v'.repeat(4_000)] as const);
          const answer = await openTunnel(connection, '127.0.0.1', port, fields).ready.then(
            () => 'accepted',
            (error: { code?: string; status?: number }) => `${error.status ?? error.code}`,
          );
          outcomes.add(answer);
          await connection.close();
        }
        const after = await proxy.memory();
        t.diagnostic(
          `${[...outcomes].join(', ')}; resident ${megabytes(before.rss)}, ${megabytes(after.rss)}`,
        );
        assert.ok(!outcomes.has('accepted'));
        assert.ok(after.rss < before.rss + 60e6);
        await stillRuns(other);
      },
    );

    test(`W10: over ${version} 20,000 capsules of unknown types pass by`, settings, async (t) => {
      const proxy = await startChildProxy();
      const { port } = await startEcho();
      const connection = await createFaultDialler().dial(version, proxy);
      const raw = await rawTunnel(connection, { path: `/.well-known/masque/udp/127.0.0.1/${port}/` });
      await raw.response;
      const before = await proxy.memory();
      const capsules = Buffer.concat(
        Array.from({ length: 1_000 }, (_, at) =>
          Buffer.concat([encodeVarint(0x2900 + at), encodeVarint(100), Buffer.alloc(100)]),
        ),
      );
      for (let count = 0; count < 20; count++) {
        raw.write(capsules);
        await delay(5);
      }
      raw.write(Buffer.from('00060068656c6c6f', 'hex'));
      assert.equal(String(await raw.payload()), 'hello');
      const after = await proxy.memory();
      t.diagnostic(`resident ${megabytes(before.rss)}, ${megabytes(after.rss)}`);
      assert.ok(after.rss < before.rss + 60e6);
      await connection.close();
    });
  }

  test(
    'S2: 50,000 datagrams for streams that are not there: memory is bounded, the tunnels run on',
    settings,
    async (t) => {
      const proxy = await startChildProxy();
      const dialler = createFaultDialler();
      const { port } = await startEcho();
      const { connection, quic } = await dialler.dialQuic(proxy);
      const tunnel = openTunnel(connection, '127.0.0.1', port);
      await tunnel.ready;
      const before = await proxy.memory();
      const body = Buffer.alloc(1_000);
      for (let count = 0; count < 50_000; count++) {
        // Streams that a client may yet open, and some far beyond.
        quic.sendDatagram(encodeVarint(1 + (count % 2_000)), body, 0, body.length);
        if (count % 200 === 199) await delay(1);
      }
      await delay(200);
      const after = await proxy.memory();
      t.diagnostic(`resident ${megabytes(before.rss)}, ${megabytes(after.rss)}`);
      assert.ok(after.rss < before.rss + 60e6);
      await stillRuns(tunnel);
      await connection.close();
    },
  );

  test(
    'a client that never reads what its target floods it with costs a bounded queue',
    settings,
    async (t) => {
      const proxy = await startChildProxy();
      const target = createSocket({ type: 'udp4', sendBufferSize: 1 << 20 });
      await new Promise<void>((resolve) => target.bind(0, '127.0.0.1', resolve));
      const asked: number[] = [];
      target.on('message', (_message, from) => asked.push(from.port));
      const before = await proxy.memory();
      const deaf = await Promise.all(
        Array.from({ length: 2 }, async () => {
          const socket = connectTls({
            port: proxy.port,
            host: '127.0.0.1',
            ca: proxy.ca,
            servername: 'localhost',
            ALPNProtocols: ['http/1.1'],
          });
          socket.on('error', () => undefined);
          await once(socket, 'secureConnect');
          socket.write(
            `GET /.well-known/masque/udp/127.0.0.1/${target.address().port}/ HTTP/1.1\r\nhost: localhost\r\n` +
              'connection: upgrade\r\nupgrade: connect-udp\r\ncapsule-protocol: ?1\r\n\r\n',
          );
          await once(socket, 'readable');
          socket.pause();
          socket.write(Buffer.from('00060068656c6c6f', 'hex'));
          return socket;
        }),
      );
      while (asked.length < deaf.length) await delay(5);
      const packet = Buffer.alloc(1_200);
      let most = 0;
      for (let count = 0; count < 30_000; count++) {
        target.send(packet, asked[count % asked.length] ?? 0, '127.0.0.1');
        if (count % 100 === 99) await delay(1);
        if (count % 2_000 === 1_999) most = Math.max(most, (await proxy.memory()).rss);
      }
      const tunnels = await proxy.tunnels();
      const dropped = tunnels.reduce(
        (sum, tunnel) => sum + (tunnel.kind === 'udp' ? tunnel.statistics.droppedOutQueueFull : 0),
        0,
      );
      t.diagnostic(
        `resident ${megabytes(before.rss)}, at most ${megabytes(most)}; ${dropped} of 30,000 dropped`,
      );
      assert.equal(tunnels.length, deaf.length);
      assert.ok(dropped > 0);
      assert.ok(most < before.rss + 80e6);
      for (const socket of deaf) socket.destroy();
      target.close();
    },
  );
});
