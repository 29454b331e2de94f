import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../../src/client/connect.js';
import { startLossyPath } from './lossy-path.js';
import { flood, startTcpTarget } from './tcp-target.js';
import { startTestProxy } from './test-proxy.js';

const TUNNELS = 8;

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

test('downloads faster than the path wait at their targets, and each gets its share of the path', {
  timeout: 60_000,
}, async (t) => {
  await using target = await startTcpTarget(flood);
  await using proxy = await startTestProxy();
  await using path = await startLossyPath(proxy.port);
  const link = proxy.link.replace(`:${proxy.port}/`, `:${path.port}/`);
  await using client = await connect(link, { versions: ['h3'] });
  const received = await Promise.all(
    Array.from({ length: TUNNELS }, async () => {
      const tunnel = await client.openTcp(target.target);
      const count = { bytes: 0 };
      tunnel.on('data', (bytes: Buffer) => {
        count.bytes += bytes.length;
      });
      return count;
    }),
  );
  const counts = () => received.map(({ bytes }) => bytes);
  const before = counts();
  let mostAhead = 0;
  for (let look = 0; look < 30; look++) {
    await delay(100);
    const read = proxy.proxy
      .tunnels()
      .map((tunnel) => (tunnel.kind === 'tcp' ? tunnel.statistics.bytesOut : 0));
    assert.equal(read.length, TUNNELS);
    mostAhead = Math.max(mostAhead, sum(read) - sum(counts()));
  }
  const shares = counts().map((bytes, index) => bytes - (before[index] ?? 0));
  t.diagnostic(`${mostAhead} bytes ahead, shares ${shares.join(', ')}`);
  // The window of eight streams would hold 8 MiB.
  assert.ok(mostAhead < 2 << 20, `${mostAhead} bytes wait in the proxy`);
  assert.ok(Math.min(...shares) > sum(shares) / TUNNELS / 2, `shares of ${shares.join(', ')} bytes`);
});
