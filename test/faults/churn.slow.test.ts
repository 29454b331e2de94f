import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { HttpClientConnection } from '../../src/http/connection.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { openTunnel, type RealTunnel } from '../proxy/real-proxy.js';
import { type ChildProxy, settledStanding, startChildProxy } from './child-proxy.js';
import { createFaultDialler } from './dial.js';
import { startEngineEcho } from './echo.js';
import { describeStanding, type Standing } from './standing.js';

const linux = process.platform === 'linux';
const settings = { timeout: 240_000, ...(linux ? {} : { skip: 'needs /proc' }) };

/** How many; a connection of HTTP/1.1 carries one tunnel. */
const churns: readonly { version: HttpVersion; connections: number; tunnels: number; rounds: number }[] = [
  { version: 'h3', connections: 10, tunnels: 1_000, rounds: 3 },
  { version: 'h2', connections: 5, tunnels: 500, rounds: 4 },
  { version: 'h1', connections: 400, tunnels: 1, rounds: 4 },
];

/** The three ways in which a client lets a tunnel go. */
async function letGo(index: number, connection: HttpClientConnection, tunnels: readonly RealTunnel[]) {
  if (index % 3 === 0) for (const tunnel of tunnels) tunnel.end();
  if (index % 3 === 1) for (const tunnel of tunnels) tunnel.reset('cancelled');
  if (index % 3 === 2) await connection.close();
  await Promise.all(tunnels.map(({ closed }) => closed));
  await connection.close();
}

async function use(tunnels: readonly RealTunnel[]): Promise<void> {
  await Promise.all(tunnels.map(({ ready }) => ready));
  for (let from = 0; from < tunnels.length; from += 100) {
    const some = tunnels.slice(from, from + 100);
    for (const tunnel of some) assert.equal(tunnel.sendText('used'), 'sent');
    for (const tunnel of some) assert.equal(String(await tunnel.next()), 'used');
  }
}

async function nothingLeft(proxy: ChildProxy, before?: Standing): Promise<Standing> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const { connections, tunnels } = await proxy.info();
    if (connections === 0 && tunnels.open === 0 && tunnels.opening === 0) break;
    assert.ok(performance.now() < deadline, `left: ${connections} connections, ${tunnels.open} tunnels`);
    await delay(50);
  }
  // The engine keeps the state of a closed connection for three timeouts (RFC 9000 section 10.2).
  await delay(1_000);
  return settledStanding(
    proxy,
    ({ descriptors, resources, objects }) =>
      before === undefined ||
      (descriptors === before.descriptors &&
        isDeepStrictEqual(resources, before.resources) &&
        isDeepStrictEqual(objects, before.objects)),
  );
}

describe('tunnels that come and go', { ...settings, timeout: 600_000 }, () => {
  for (const { version, connections, tunnels, rounds } of churns) {
    const title = `${connections * tunnels} tunnels over ${version}, ${tunnels} on a connection, leave nothing behind`;
    test(title, settings, async (t) => {
      const proxy = await startChildProxy({ limits: { tunnelsPerAddress: 20_000 } });
      const dialler = createFaultDialler();
      const echo = await startEngineEcho(dialler.engine);
      const churn = async (): Promise<void> => {
        const opened = await Promise.all(
          Array.from({ length: connections }, () => dialler.dial(version, proxy)),
        );
        const all: RealTunnel[][] = [];
        for (const connection of opened) {
          const some = Array.from({ length: tunnels }, () => openTunnel(connection, '127.0.0.1', echo.port));
          await use(some);
          all.push(some);
        }
        assert.equal((await proxy.info()).tunnels.open, connections * tunnels);
        await Promise.all(opened.map((connection, index) => letGo(index, connection, all[index] ?? [])));
      };

      const before = await nothingLeft(proxy);
      t.diagnostic(describeStanding('before', before));
      let warm: Standing | undefined;
      let last = before;
      for (let round = 1; round <= rounds; round++) {
        const began = performance.now();
        await churn();
        const seconds = ((performance.now() - began) / 1_000).toFixed(1);
        last = await nothingLeft(proxy, before);
        // The second leaves what the allocator keeps for the next.
        if (round === 2) warm = last;
        t.diagnostic(describeStanding(`round ${round} (${seconds} s)`, last));
      }
      assert.ok(warm);
      for (const kind of ['descriptors', 'sockets', 'udpSockets'] as const) {
        assert.equal(last[kind], before[kind], kind);
      }
      assert.deepEqual(last.resources, before.resources);
      assert.deepEqual(last.objects, before.objects);
      assert.ok(last.heap < warm.heap * 1.15, `heap ${warm.heap} and then ${last.heap}`);
      assert.ok(last.external < warm.external * 1.15, `external ${warm.external} and then ${last.external}`);
      assert.ok(last.resident < warm.resident * 1.15, `resident ${warm.resident} and then ${last.resident}`);
      assert.equal(await proxy.close(), 0);
    });
  }
});
