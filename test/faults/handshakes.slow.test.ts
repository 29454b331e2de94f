import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { HttpClientConnection } from '../../src/http/connection.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { openTunnel } from '../proxy/real-proxy.js';
import { createInitialFlood } from './flood.js';
import { startTunnelBeside } from './tunnel-beside.js';

const settings = { timeout: 120_000 };
/** The proxy's: Retry from so many handshakes under way, how many there may be, and how long each may take. */
const [RETRY_ABOVE, PLACES, HANDSHAKE_TIME] = [256, 4_096, 10_000];
const FLOOD = 6_000;
/**
 * What a flood may add to the resident memory: so many handshakes at most are under way, the first ones with places
 * for more streams (40 KB and less than 110 KB each). What JavaScript does meanwhile takes some too.
 */
const LARGEST = { honest: PLACES * 40e3 + 45e6, others: RETRY_ABOVE * 110e3 + 30e6 };
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

describe('handshakes that never go on', { ...settings, timeout: 600_000 }, () => {
  for (const honest of [false, true]) {
    const who = honest ? 'clients that prove their addresses' : 'clients that do not prove their addresses';
    test(`${FLOOD} of ${who}: bounded, others come in, and a tunnel runs on`, settings, async (t) => {
      const { proxy, dialler, connection, port, tunnel } = await startTunnelBeside('h3');
      const before = await proxy.memory();
      const flood = await createInitialFlood(proxy.port, honest);
      let flooding = true;
      const began = performance.now();
      const sending = flood.send(FLOOD).then(() => {
        flooding = false;
      });
      let trips = 0;
      while (flooding) {
        tunnel.sendText(`trip ${trips}`);
        assert.equal(String(await tunnel.next()), `trip ${trips}`);
        trips++;
        await delay(5);
      }
      await sending;
      await delay(500);
      const during = await proxy.memory();
      t.diagnostic(
        `${flood.sent} begun in ${Math.round(performance.now() - began)} ms: ${flood.retries} retries, ` +
          `${flood.answered} other packets back; ${trips} round trips beside; ` +
          `resident ${megabytes(before.rss)} and then ${megabytes(during.rss)}`,
      );
      // Once all places are taken nobody is asked any more. Some packets are lost in socket buffers.
      const asked = (honest ? PLACES : FLOOD) - RETRY_ABOVE;
      assert.ok(flood.retries > asked * 0.6, `${flood.retries} retries`);
      assert.ok(trips > 10);
      const most = before.rss + (honest ? LARGEST.honest : LARGEST.others);
      assert.ok(during.rss < most, `resident ${during.rss}`);
      const next = await dialler.dial('h3', proxy).catch((error: unknown) => error);
      if (next instanceof Error) {
        // All places are taken by addresses that were proven.
        assert.ok(honest && next instanceof BautaError, String(next));
        t.diagnostic(`somebody else meanwhile: ${next.code}`);
      } else await (next as HttpClientConnection).close();
      // Half-open ones are forgotten in time: then nobody is sent a Retry, and all are let in.
      await delay(HANDSHAKE_TIME + 500);
      const retries = flood.retries;
      const late = await dialler.dial('h3', proxy);
      await openTunnel(late, '127.0.0.1', port).ready;
      await flood.send(20);
      await delay(200);
      assert.equal(flood.retries, retries, 'no Retry any more');
      tunnel.sendText('still here');
      assert.equal(String(await tunnel.next()), 'still here');
      const end = await proxy.standing();
      await flood.send(FLOOD);
      await delay(500);
      const again = await proxy.memory();
      t.diagnostic(`resident ${megabytes(end.resident)} later, ${megabytes(again.rss)} in a second flood`);
      // The first ones are gone, and not only forgotten.
      assert.ok(again.rss < most, `resident ${again.rss}`);
      await late.close();
      await connection.close();
    });
  }
});
