import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '../../src/client/connect.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import type { DataPath } from '../../src/tunnel/data-path.js';
import { type ChainProxy, startHop } from './chain.js';
import { nextMessage, startEcho } from './echo.js';

const options = { timeout: 120_000 };

/** Two proxies, the path between them in one version. */
async function startChain(dataPath: DataPath, version: HttpVersion): Promise<[ChainProxy, ChainProxy]> {
  const exit = await startHop('exit', { dataPath });
  const entry = await startHop('entry', { dataPath, via: exit.link, viaVersions: [version] });
  return [entry, exit];
}

const pathOf = ({ proxy }: ChainProxy): string | undefined => {
  const [tunnel] = proxy.tunnels();
  return tunnel?.kind === 'udp' ? tunnel.dataPath : undefined;
};

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `never: ${what}`);
    await wait(2);
  }
}

async function closing({ events }: ChainProxy) {
  await until(() => events.some(({ event }) => event === 'tunnel-closed'), 'the end of a tunnel');
  const end = events.find((event) => event.event === 'tunnel-closed');
  assert.ok(end?.event === 'tunnel-closed' && end.kind === 'udp');
  return end;
}

describe('the data path to a next hop', { ...options, timeout: 600_000 }, () => {
  test('js, splice and auto carry and count the same; only HTTP/3 is spliced', options, async () => {
    for (const [dataPath, version, expected] of [
      ['js', 'h3', 'js'],
      ['splice', 'h3', 'splice'],
      ['auto', 'h3', 'splice'],
      ['splice', 'h2', 'js'],
    ] as const) {
      const [entry, exit] = await startChain(dataPath, version);
      const echo = await startEcho();
      const client = await connect(entry.link, { versions: ['h3'] });
      const tunnel = await client.openUdp({ host: '127.0.0.1', port: echo.port });
      for (let count = 0; count < 60; count++) {
        const payload = Buffer.alloc(count * 20, count);
        tunnel.send(payload);
        assert.deepEqual(await nextMessage(tunnel), payload);
      }
      assert.equal(pathOf(entry), expected, `${dataPath}, ${version}`);
      tunnel.close();
      assert.deepEqual(await tunnel.closed, { kind: 'ended' });
      for (const hop of [entry, exit]) {
        const end = await closing(hop);
        assert.equal(end.reason, 'client');
        const { payloadsIn, payloadsOut, bytesIn, bytesOut } = end.statistics;
        assert.deepEqual([payloadsIn, payloadsOut, bytesIn, bytesOut], [60, 60, 35_400, 35_400]);
      }
      await client.close();
      await echo.close();
    }
  });

  test('ends, resets and losses on either side of a running splice reach the other', options, async () => {
    for (const way of ['client end', 'client lost', 'hop drains', 'hop closes', 'entry closes'] as const) {
      const [entry, exit] = await startChain('splice', 'h3');
      const echo = await startEcho();
      const client = await connect(entry.link, { versions: ['h3'] });
      const tunnel = await client.openUdp({ host: '127.0.0.1', port: echo.port });
      for (let count = 0; count < 20; count++) {
        tunnel.send(Buffer.from('there'));
        await nextMessage(tunnel);
      }
      assert.equal(pathOf(entry), 'splice', way);
      if (way === 'client end') tunnel.close();
      else if (way === 'client lost') void client.close();
      else if (way === 'hop drains') void exit.proxy.drain(1);
      else if (way === 'hop closes') void exit.proxy.close();
      else void entry.proxy.close();
      await tunnel.closed;
      await closing(entry);
      await closing(exit);
      await until(() => exit.proxy.info().tunnels.open === 0, `${way}: the exit is left`);
      await until(() => entry.proxy.info().tunnels.open === 0, `${way}: the entry is left`);
      await client.close();
      await echo.close();
    }
  });
});
