import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { systemClock } from '../../src/clock/system-clock.js';
import type { HttpClientConnection } from '../../src/http/connection.js';
import { dialH3 } from '../../src/http/h3/client.js';
import { createProxy } from '../../src/proxy/create-proxy.js';
import type { RunningProxy } from '../../src/proxy/proxy.js';
import type { CongestionControl } from '../../src/quic/congestion.js';
import { createNativeEngine, selfSigned } from '../../src/quic/native/index.js';
import { type Nat, startNat } from '../faults/nat.js';
import { type AskedTcp, askTcp, classic } from './ask-tcp.js';
import {
  certificate,
  createDialler,
  openTunnel,
  type RealTunnel,
  startEcho,
  startProxy,
} from './real-proxy.js';
import { startTcpTarget, until } from './tcp-target.js';

const limit = {
  timeout: 120_000,
  skip: process.platform === 'linux' ? false : 'only Linux steers packets to the sockets of one port',
};
const dialler = createDialler();
const signal = (): AbortSignal => AbortSignal.timeout(60_000);

interface Client {
  readonly nat: Nat;
  readonly connection: HttpClientConnection;
  readonly udp: RealTunnel;
  readonly tcp: AskedTcp;
}

const portOf = (proxy: RunningProxy): number => proxy.addresses[0]?.port ?? assert.fail('no address');

function dialPort(port: number, ca = certificate.cert): Promise<HttpClientConnection> {
  const tls = { serverName: 'localhost', alpn: ['h3'], trust: { mode: 'ca' as const, ca } };
  const quic = { remote: { address: '127.0.0.1', port }, tls };
  return dialH3(dialler.engine, { quic, clock: systemClock }, {}, signal());
}

async function behindNat(proxy: RunningProxy, udpPort: number, tcpPort: number): Promise<Client> {
  const nat = await startNat(portOf(proxy));
  const connection = await dialPort(nat.port);
  const udp = openTunnel(connection, '127.0.0.1', udpPort);
  const tcp = askTcp(connection, '127.0.0.1', tcpPort, { clock: systemClock, form: classic });
  await Promise.all([udp.ready, tcp.tunnel.ready]);
  return { nat, connection, udp, tcp };
}

/** There and back; sent again while the change of address may have lost it. */
async function echoed(tunnel: RealTunnel, text: string): Promise<void> {
  let back: string | undefined;
  for (let attempt = 0; back !== text; attempt++) {
    assert.ok(attempt < 50, `never came back: ${text}`);
    tunnel.sendText(text);
    back = await Promise.race([tunnel.next().then(String), wait(500, undefined)]).catch(() => undefined);
  }
}

describe('a proxy on four shards', limit, () => {
  for (const dataPath of ['js', 'splice'] as const) {
    test(`40 clients keep UDP and TCP tunnels through changes of address, ${dataPath}`, limit, async () => {
      const { proxy } = await startProxy({ shards: 4, dataPath });
      const { port } = await startEcho();
      const target = await startTcpTarget(({ socket }) => void socket.pipe(socket));
      const clients: Client[] = [];
      for (let count = 0; count < 40; count++) clients.push(await behindNat(proxy, port, target.port));
      await Promise.all(clients.map(({ udp }) => echoed(udp, 'first')));
      if (dataPath === 'splice') {
        await until(
          () => proxy.tunnels().every((tunnel) => tunnel.kind === 'tcp' || tunnel.dataPath === 'splice'),
          'all UDP tunnels spliced',
        );
      }
      for (let change = 0; change < 2; change++) {
        for (const { nat } of clients) await nat.rebind();
        await Promise.all(
          clients.map(async ({ udp, tcp }, index) => {
            await echoed(udp, `change ${change}, ${index}`);
            tcp.send(`${change};`);
          }),
        );
      }
      await until(
        () => clients.every(({ tcp }) => tcp.seen.text() === '0;1;'),
        'the bytes of 40 TCP tunnels, there and back',
      );
      assert.equal(proxy.info().connections, 40);
      assert.equal(proxy.info().tunnels.open, 80);
      await Promise.all(clients.map(({ connection }) => connection.close()));
    });
  }

  test('a new certificate is for all, and running tunnels go on', limit, async () => {
    const { proxy, events } = await startProxy({ shards: 4 });
    assert.deepEqual(events[0], { event: 'listening', addresses: proxy.addresses, shards: 4 });
    const { port } = await startEcho();
    const old = await Promise.all(Array.from({ length: 8 }, () => dialler.dial('h3', proxy)));
    const tunnels = old.map((connection) => openTunnel(connection, '127.0.0.1', port));
    const fresh = selfSigned(['localhost'], 1);
    proxy.setCertificates(fresh);
    for (let count = 0; count < 12; count++) await (await dialPort(portOf(proxy), fresh.cert)).close();
    await Promise.all(tunnels.map((tunnel) => echoed(tunnel, 'still here')));
    await Promise.all(old.map((connection) => connection.close()));
  });

  test('drains them all: tunnels run on, then end', limit, async () => {
    const { proxy } = await startProxy({ shards: 4 });
    const { port } = await startEcho();
    const connections = await Promise.all(Array.from({ length: 12 }, () => dialler.dial('h3', proxy)));
    const tunnels = connections.map((connection) => openTunnel(connection, '127.0.0.1', port));
    await Promise.all(tunnels.map((tunnel) => tunnel.ready));
    const drained = proxy.drain(60_000);
    await until(() => connections.every(({ usable }) => !usable), 'GOAWAY on each connection');
    await Promise.all(tunnels.map((tunnel) => echoed(tunnel, 'still here')));
    for (const tunnel of tunnels) tunnel.end();
    await drained;
    assert.equal(proxy.info().state, 'closed');
    await Promise.all(connections.map((connection) => connection.closed));
  });

  test('localhost on both families, and HTTP/2 beside it', limit, async () => {
    const { proxy } = await startProxy({ shards: 3, listen: 'localhost:0' });
    const { port } = await startEcho();
    for (const version of ['h3', 'h2', 'h1'] as const) {
      const connection = await dialler.dial(version, proxy);
      await echoed(openTunnel(connection, '127.0.0.1', port), version);
      await connection.close();
    }
  });

  test(
    'ERR_USAGE: a number or a congestion control that there cannot be, or an engine that has its own',
    limit,
    async () => {
      for (const shards of [0, 1.5, 65]) await assert.rejects(startProxy({ shards }), { code: 'ERR_USAGE' });
      const congestion = 'reno' as CongestionControl;
      await assert.rejects(startProxy({ congestion }), { code: 'ERR_USAGE' });
      const engine = createNativeEngine();
      const options = { listen: '127.0.0.1:0', tls: certificate, authenticate: 'anyone' } as const;
      await assert.rejects(createProxy({ ...options, engine, shards: 2 }), { code: 'ERR_USAGE' });
      await assert.rejects(createProxy({ ...options, engine, congestion: 'bbr' }), { code: 'ERR_USAGE' });
      await engine.close();
    },
  );
});

describe('connections of one shard', limit, () => {
  test('one that floods leaves another its part: 200 echoes, none lost', limit, async (t) => {
    const { proxy } = await startProxy({ shards: 1, dataPath: 'splice' });
    const { port } = await startEcho();
    const sink = await startEcho();
    sink.socket.removeAllListeners('message');
    const flooding = createDialler();
    const flood = await flooding.dial('h3', proxy);
    const flooded = [0, 1, 2, 3].map(() => openTunnel(flood, '127.0.0.1', sink.port));
    await Promise.all(flooded.map((tunnel) => tunnel.ready));
    const quiet = await dialler.dial('h3', proxy);
    const tunnel = openTunnel(quiet, '127.0.0.1', port);
    await echoed(tunnel, 'ready');
    const payload = Buffer.alloc(1_100);
    let sent = 0;
    const burst = setInterval(() => {
      for (const each of flooded) {
        for (let count = 0; count < 100; count++) if (each.sendText(payload) === 'sent') sent += 1;
      }
    }, 1);
    const times: number[] = [];
    for (let count = 0; count < 200; count++) {
      const began = performance.now();
      tunnel.sendText(`echo ${count}`);
      assert.equal(String(await tunnel.next()), `echo ${count}`);
      times.push(performance.now() - began);
    }
    clearInterval(burst);
    times.sort((one, other) => one - other);
    const at = (part: number): string => (times[Math.floor(part * 199)] ?? 0).toFixed(1);
    t.diagnostic(`an echo beside ${sent} datagrams of the flood: ${at(0.5)} ms, worst ${at(1)} ms`);
    assert.ok(sent > 1_000, `only ${sent} were sent`);
    await Promise.all([flood.close(), quiet.close()]);
  });
});
