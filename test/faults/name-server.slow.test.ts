import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ResponseHead } from '../../src/http/request.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { openTunnel, type RealTunnel } from '../proxy/real-proxy.js';
import { startChildProxy } from './child-proxy.js';
import { createFaultDialler } from './dial.js';
import { startEngineEcho } from './echo.js';
import { median, microseconds, quantile, roundTrips } from './round-trips.js';
import { startSlowNameServer } from './slow-name-server.js';

const settings = { timeout: 120_000 };
const WAITING = 200;
/** Round trips in a turn, turns in an attempt, attempts. */
const [TRIPS, TURNS, ATTEMPTS] = [300, 6, 5];

describe('a name server that is slow or silent', { ...settings, timeout: 600_000 }, () => {
  const cases: readonly (readonly [HttpVersion, 'slow' | 'silent', 'same' | 'other'])[] = [
    ['h3', 'silent', 'same'],
    ['h3', 'slow', 'other'],
    ['h2', 'silent', 'same'],
  ];
  for (const [version, kind, which] of cases) {
    const where = which === 'same' ? 'its own connection' : 'another connection';
    const title = `${WAITING} requests of ${where} wait for a ${kind} name server: the round trips over ${version} stay`;
    test(title, settings, async (t) => {
      const names = await startSlowNameServer(700);
      const proxy = await startChildProxy({
        nameServers: [names.address],
        // The slow one answers before it is asked again.
        limits: { nameTimeout: kind === 'slow' ? 9_000 : 1_500 },
      });
      const dialler = createFaultDialler();
      const echo = await startEngineEcho(dialler.engine);
      const connection = await dialler.dial(version, proxy);
      const crowd = which === 'same' ? connection : await dialler.dial(version, proxy);
      const tunnel = openTunnel(connection, '127.0.0.1', echo.port);
      await tunnel.ready;
      await roundTrips(tunnel, 1_000);

      let name = 0;
      const busyTurn = async (): Promise<number[]> => {
        const waiting: RealTunnel[] = [];
        const answers: Promise<PromiseSettledResult<ResponseHead>>[] = [];
        while (waiting.length < WAITING) {
          const one = openTunnel(crowd, `n${++name}.${kind}.test`, echo.port);
          waiting.push(one);
          answers.push(Promise.allSettled([one.ready]).then(([result]) => result));
          // Not more than a socket buffer of queries at once.
          if (waiting.length % 40 === 0) await delay(10);
        }
        while ((await proxy.info()).lookups < WAITING) await delay(5);
        const times = await roundTrips(tunnel, TRIPS);
        assert.equal((await proxy.info()).lookups, WAITING, 'all still wait');
        for (const answer of await Promise.all(answers)) {
          if (kind === 'slow') assert.equal(answer.status, 'fulfilled');
          else {
            assert.ok(answer.status === 'rejected' && answer.reason instanceof BautaError);
            assert.equal(answer.reason.code, 'ERR_TARGET_NAME_TIMEOUT');
          }
        }
        for (const one of waiting) one.reset('cancelled');
        return times;
      };

      let ratio = Number.POSITIVE_INFINITY;
      for (let attempt = 1; attempt <= ATTEMPTS && !(ratio <= 1.1); attempt++) {
        const alone: number[] = [];
        const beside: number[] = [];
        for (let turn = 0; turn < TURNS; turn++) {
          alone.push(...(await roundTrips(tunnel, TRIPS)));
          beside.push(...(await busyTurn()));
        }
        ratio = median(beside) / median(alone);
        t.diagnostic(
          `attempt ${attempt}: median ${microseconds(median(alone))} alone, ` +
            `${microseconds(median(beside))} beside ${WAITING} waiting, ratio ${ratio.toFixed(3)}; ` +
            `99th of 100: ${microseconds(quantile(alone, 0.99))} and ${microseconds(quantile(beside, 0.99))}`,
        );
      }
      assert.ok(names.queries >= WAITING * TURNS, `${names.queries} queries`);
      assert.ok(ratio <= 1.1, `round trips take ${ratio.toFixed(2)} times as long`);
      await connection.close();
      await crowd.close();
      assert.equal(await proxy.close(), 0);
    });
  }
});
