import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { UdpSocket } from '../../src/quic/udp-socket.js';
import { createDialler, openTunnel, startProxy } from './real-proxy.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const CONNECTIONS = 10;
const TUNNELS = 1_000;

interface Standing {
  readonly descriptors: number;
  readonly resources: number;
  /** Bytes. */
  readonly heap: number;
  readonly resident: number;
}

/** What the process holds once nothing is going on: what one collection frees for the next is not held. */
async function standing(): Promise<Standing> {
  await new Promise((resolve) => setTimeout(resolve, 500));
  for (let count = 0; count < 3; count++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, rss } = process.memoryUsage();
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    resources: process.getActiveResourcesInfo().length,
    heap: heapUsed,
    resident: rss,
  };
}

describe('many tunnels', { timeout: 300_000, skip: process.platform !== 'linux' && 'needs /proc' }, () => {
  test('1,000 tunnels on a connection and 10,000 in all: opened, used, closed, and nothing is left', async (t) => {
    const { proxy } = await startProxy({ onEvent: () => undefined });
    const dialler = createDialler();
    let echo: UdpSocket | undefined;
    echo = await dialler.engine.udp.open(
      { local: { address: '127.0.0.1', port: 0 } },
      {
        packet: (bytes, start, end, from) => void echo?.send(bytes, start, end, from),
        problem: () => undefined,
      },
    );
    const { port } = echo.localAddress;

    const round = async (): Promise<void> => {
      const connections = await Promise.all(
        Array.from({ length: CONNECTIONS }, () => dialler.dial('h3', proxy)),
      );
      for (const connection of connections) {
        const tunnels = Array.from({ length: TUNNELS }, () => openTunnel(connection, '127.0.0.1', port));
        await Promise.all(tunnels.map(({ ready }) => ready));
        for (let index = 0; index < TUNNELS; index += 100) {
          const some = tunnels.slice(index, index + 100);
          for (const tunnel of some) tunnel.sendText('used');
          for (const tunnel of some) assert.equal(String(await tunnel.next()), 'used');
        }
      }
      assert.equal(proxy.info().tunnels.open, CONNECTIONS * TUNNELS);
      await Promise.all(connections.map((connection) => connection.close()));
      while (proxy.info().connections > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    };

    const before = await standing();
    await round();
    const first = await standing();
    await round();
    const second = await standing();
    assert.equal(second.descriptors, before.descriptors, 'descriptors');
    assert.ok(
      second.resources <= before.resources,
      `handles ${before.resources} and then ${second.resources}`,
    );
    assert.ok(second.heap < first.heap * 1.15, `heap ${first.heap} and then ${second.heap}`);
    assert.ok(
      second.resident < first.resident * 1.15,
      `memory ${first.resident} and then ${second.resident}`,
    );
    t.diagnostic(
      `heap ${before.heap}, ${first.heap}, ${second.heap}; memory ${first.resident}, ${second.resident}`,
    );
    echo.close();
  });
});
