import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { HttpClientConnection } from '../../src/http/connection.js';
import { openTunnel } from '../proxy/real-proxy.js';
import { settledStanding } from './child-proxy.js';
import { describeStanding } from './standing.js';
import { startTunnelBeside } from './tunnel-beside.js';

const settings = { timeout: 120_000 };
const RESETS = 2_000;

describe('2,000 rapid resets', { ...settings, timeout: 600_000 }, () => {
  for (const version of ['h3', 'h2'] as const) {
    test(
      `over ${version} they leave the tunnel beside them alone, and nothing behind`,
      settings,
      async (t) => {
        const { proxy, dialler, connection, port, tunnel: beside } = await startTunnelBeside(version);
        const before = await proxy.standing();
        const used: HttpClientConnection[] = [connection];
        let current = connection;
        let reset = 0;
        const began = performance.now();
        while (reset < RESETS) {
          if (!current.usable) {
            // HTTP/2 where Node cannot raise its own limit: drained in time, and the tunnel runs on.
            assert.equal(version, 'h2');
            current = await dialler.dial(version, proxy);
            used.push(current);
          }
          // Half at once, half once the proxy is about to open their sockets or has.
          const some = Array.from({ length: 20 }, () => openTunnel(current, '127.0.0.1', port));
          const failed = Promise.allSettled(some.map(({ ready }) => ready));
          for (const tunnel of some.slice(0, 10)) tunnel.reset('cancelled');
          await delay(2);
          for (const tunnel of some.slice(10)) tunnel.reset('cancelled');
          await failed;
          reset += some.length;
          beside.sendText(`after ${reset}`);
          assert.equal(String(await beside.next()), `after ${reset}`);
        }
        t.diagnostic(
          `${reset} resets in ${Math.round(performance.now() - began)} ms, ${used.length} connections`,
        );
        assert.ok(used.length <= (version === 'h3' ? 1 : 4), `${used.length} connections`);
        for (const other of used.slice(1)) await other.close();
        while ((await proxy.info()).tunnels.opening > 0 || (await proxy.info()).tunnels.open > 1)
          await delay(20);
        const after = await settledStanding(
          proxy,
          ({ descriptors, udpSockets, objects }) =>
            descriptors === before.descriptors &&
            udpSockets === before.udpSockets &&
            isDeepStrictEqual(objects, before.objects),
        );
        t.diagnostic(describeStanding('before', before));
        t.diagnostic(describeStanding('after', after));
        assert.equal(after.udpSockets, before.udpSockets);
        assert.equal(after.descriptors, before.descriptors);
        assert.deepEqual(after.objects, before.objects);
        beside.sendText('still here');
        assert.equal(String(await beside.next()), 'still here');
        await connection.close();
        assert.equal(await proxy.close(), 0);
      },
    );
  }
});
