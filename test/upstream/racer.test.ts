import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createVirtualClock, type VirtualClock } from '../../src/clock/virtual-clock.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { seededRandom } from '../../src/quic/simulated/random.js';
import { bautaErrorOf } from '../../src/upstream/bauta-error-of.js';
import { createPool, type Pool } from '../../src/upstream/pool.js';
import { createRacer, type RaceOptions, type Racer, type RacerOptions } from '../../src/upstream/racer.js';
import type { UpstreamOrigin } from '../../src/upstream/target.js';
import { failureKind, UpstreamError } from '../../src/upstream/upstream-error.js';
import { createFakeDriver, type FakeDial, type FakeDriver, transportAt } from './fake-driver.js';
import { head, recordingSession } from './recording-session.js';

const options = { timeout: 120_000 };
const origin: UpstreamOrigin = { host: 'proxy.test', port: 443, tls: { trust: { mode: 'system' } } };
const udp = { extendedConnect: true, datagrams: true };

interface Bench {
  readonly clock: VirtualClock;
  readonly driver: FakeDriver;
  readonly pool: Pool;
  readonly racer: Racer;
  plans: Record<HttpVersion, FakeDial>;
}

function createBench(
  plans: Partial<Record<HttpVersion, FakeDial>> = {},
  given: Partial<RacerOptions> = {},
): Bench {
  const clock = createVirtualClock();
  const driver = createFakeDriver(clock, ({ version }) => bench.plans[version]);
  const pool = createPool({
    driver,
    clock,
    random: seededRandom(1),
    randomBytes: (length) => new Uint8Array(length),
    healthCheck: false,
  });
  const bench: Bench = {
    clock,
    driver,
    pool,
    racer: createRacer({ pool, clock, ...given }),
    plans: {
      h3: { kind: 'up', after: 40 },
      h2: { kind: 'up', after: 60 },
      h1: { kind: 'up', after: 50 },
      ...plans,
    },
  };
  return bench;
}

/** Runs a race; tells the winner, how long it took and which versions were dialled when. */
async function race(bench: Bench, needs = udp, given: RaceOptions = {}) {
  const { clock, driver } = bench;
  const begun = clock.now();
  const before = driver.dials.length;
  let took: number | undefined;
  const racing = bench.racer.checkout(origin, needs, given);
  racing.then(
    () => {
      took = clock.now() - begun;
    },
    () => undefined,
  );
  for (let step = 0; step < 200 && took === undefined; step++) await clock.advanceAsync(10);
  const win = await racing;
  const tried = driver.dials.slice(before).map(({ target, at }) => `${target.version} ${at - begun}`);
  return { win, took, tried };
}

async function closed(bench: Bench): Promise<void> {
  await bench.pool.closeAll();
  await bench.clock.advanceAsync(0);
  assert.deepEqual([bench.driver.open, bench.driver.underWay, bench.clock.pending], [0, 0, 0]);
}

describe('a racer on the fake transport', { ...options, timeout: 600_000 }, () => {
  test('R1: HTTP/3 that is up within its head start wins alone', async () => {
    const bench = createBench();
    const { win, took, tried } = await race(bench);
    assert.deepEqual([win.version, took, tried], ['h3', 40, ['h3 0']]);
    assert.deepEqual(win.attempts, [
      { version: 'h3', outcome: 'won' },
      { version: 'h2', outcome: 'not-tried' },
      { version: 'h1', outcome: 'not-tried' },
    ]);
    await closed(bench);
  });

  test('R1: HTTP/2 starts after 250 ms and HTTP/1.1 another 500 ms later', async () => {
    const bench = createBench({ h3: { kind: 'never' }, h2: { kind: 'never' } });
    const { win, took, tried } = await race(bench);
    assert.deepEqual([win.version, took, tried], ['h1', 800, ['h3 0', 'h2 250', 'h1 750']]);
    await closed(bench);
  });

  test('R1: head starts can be set', async () => {
    const bench = createBench(
      { h3: { kind: 'never' }, h2: { kind: 'never' } },
      { headStart: { h2: 20, h1: 30 } },
    );
    const { tried } = await race(bench);
    assert.deepEqual(tried, ['h3 0', 'h2 20', 'h1 50']);
    await closed(bench);
  });

  test('R1: an early failure starts the next version at once', async () => {
    const refused = new Error('refused');
    const bench = createBench({ h3: { kind: 'fail', after: 10, error: refused } });
    const { win, took, tried } = await race(bench);
    assert.deepEqual([win.version, took, tried], ['h2', 70, ['h3 0', 'h2 10']]);
    assert.deepEqual(win.attempts[0], { version: 'h3', outcome: 'failed', error: refused });
    await closed(bench);
  });

  test('R1: a loser is cancelled when nobody else waits for it, and goes on when somebody does', async () => {
    const bench = createBench({ h3: { kind: 'never' } });
    await race(bench);
    assert.deepEqual([bench.driver.dials[0]?.aborted, bench.driver.underWay], [true, 0]);
    bench.racer.networkChanged();
    const other = bench.pool.checkout({ ...origin, version: 'h3' });
    other.catch(() => undefined);
    await race(bench);
    const dial = bench.driver.dials.find(({ target, aborted }) => target.version === 'h3' && !aborted);
    assert.ok(dial, 'the dial of the other goes on');
    await closed(bench);
  });

  test('R1: a loser that comes up in the same moment without a user is closed', async () => {
    // Both are up at 310 ms.
    const bench = createBench({ h3: { kind: 'up', after: 310 }, h2: { kind: 'up', after: 60 } });
    const { win } = await race(bench);
    await bench.clock.advanceAsync(10);
    assert.equal(bench.driver.open, 1);
    assert.equal(bench.driver.transports.find((one) => !one.closed)?.target.version, win.version);
    await closed(bench);
  });

  test('R1: a connection that the pool has is used at once', async () => {
    const bench = createBench();
    const first = await race(bench);
    const second = await race(bench);
    assert.deepEqual([second.took, second.tried], [0, []]);
    assert.equal(second.win.checkout.owner, first.win.checkout.owner);
    await closed(bench);
  });

  test('R2: a network that drops UDP costs the head start once', async () => {
    const bench = createBench({ h3: { kind: 'never' } });
    const first = await race(bench);
    assert.equal(first.took, 310);
    await first.win.checkout.owner.stop();
    const second = await race(bench);
    assert.deepEqual([second.win.version, second.took, second.tried], ['h2', 60, ['h2 0']]);
    const { winner, failures } = bench.racer.remembered(origin);
    assert.deepEqual([winner, failures.map(({ version }) => version)], ['h2', ['h3']]);
    await closed(bench);
  });

  test('R2: after a change of network HTTP/3 is tried first again', async () => {
    const bench = createBench({ h3: { kind: 'never' } });
    const first = await race(bench);
    bench.plans.h3 = { kind: 'up', after: 40 };
    await first.win.checkout.owner.stop();
    bench.racer.networkChanged();
    const second = await race(bench);
    assert.deepEqual([second.win.version, second.took], ['h3', 40]);
    assert.deepEqual(bench.racer.remembered(origin), { winner: 'h3', failures: [] });
    await closed(bench);
  });

  test('R2: after the expiry HTTP/3 is tried beside what works, and comes back without a wait', async () => {
    const bench = createBench({ h3: { kind: 'never' } }, { memory: 60_000 });
    await race(bench);
    await bench.clock.advanceAsync(60_000);
    const during = await race(bench);
    assert.deepEqual([during.win.version, during.tried], ['h2', ['h3 0', 'h2 0']]);
    await bench.clock.advanceAsync(10_000);
    const failed = await race(bench);
    assert.deepEqual([failed.win.version, failed.took], ['h2', 0], 'still dropped, and nobody waited');

    bench.plans.h3 = { kind: 'up', after: 600 };
    await bench.clock.advanceAsync(60_000);
    const before = await race(bench);
    assert.equal(before.win.version, 'h2', 'one that is slow to come up is waited for, beside it');
    await bench.clock.advanceAsync(600);
    const after = await race(bench);
    assert.deepEqual([after.win.version, after.took], ['h3', 0]);
    assert.deepEqual(bench.racer.remembered(origin), { winner: 'h3', failures: [] });
    await closed(bench);
  });

  test('R2: what failed lately is still tried, last', async () => {
    const bench = createBench({ h3: { kind: 'never' } });
    await (await race(bench)).win.checkout.owner.stop();
    bench.plans = {
      h3: { kind: 'up', after: 40 },
      h2: { kind: 'fail', after: 5, error: new Error('a') },
      h1: { kind: 'fail', after: 5, error: new Error('b') },
    };
    const { win, took, tried } = await race(bench);
    assert.deepEqual([win.version, took, tried], ['h3', 50, ['h2 0', 'h1 5', 'h3 10']]);
    await closed(bench);
  });

  test('R2: origins are remembered apart', async () => {
    const bench = createBench({ h3: { kind: 'never' } });
    await race(bench);
    const other = { ...origin, host: 'other.test' };
    assert.deepEqual(bench.racer.remembered(other), { winner: undefined, failures: [] });
    assert.equal(bench.racer.remembered({ ...origin }).winner, 'h2');
    await closed(bench);
  });

  test('R3: a version that is up without what the tunnel needs has failed, with that reason', async () => {
    const without = { kind: 'up', after: 40, conditions: { settings: { datagrams: false } } } as const;
    const bench = createBench({ h3: without });
    const { win, took } = await race(bench);
    assert.deepEqual([win.version, took], ['h2', 100]);
    const [attempt] = win.attempts;
    assert.ok(attempt?.outcome === 'failed' && attempt.error instanceof UpstreamError);
    assert.deepEqual(attempt.error.failure, { kind: 'unsuitable', version: 'h3', missing: 'datagrams' });
    assert.equal(transportAt(bench.driver, 0).closed, true, 'nobody uses it');
    await closed(bench);
  });

  test('R3: what is missing for one kind of tunnel does for another', async () => {
    const plain = { kind: 'up', after: 40, conditions: { settings: { extendedConnect: false } } } as const;
    const bench = createBench({ h3: plain });
    const { win } = await race(bench, { extendedConnect: false, datagrams: false });
    assert.equal(win.version, 'h3');
    const session = recordingSession();
    await win.checkout.acquireStream(head, session);
    const second = await race(bench);
    const [attempt] = second.win.attempts;
    assert.ok(attempt?.outcome === 'failed' && failureKind(attempt.error) === 'unsuitable');
    assert.equal(win.checkout.owner.state, 'open', 'whoever uses it keeps it');
    await closed(bench);
  });

  test('R2: what lacks an ability is remembered for tunnels that need it, what cannot be reached for all', async () => {
    const classic = { extendedConnect: false, datagrams: false };
    const plain = { kind: 'up', after: 40, conditions: { settings: { extendedConnect: false } } } as const;
    const bench = createBench({ h3: { kind: 'never' }, h2: plain });
    const first = await race(bench, udp, { keepUnsuitable: true });
    assert.equal(first.win.version, 'h1');
    const failed = (needs: typeof udp): string[] =>
      bench.racer.remembered(origin, needs).failures.map(({ version }) => version);
    assert.deepEqual([failed(udp), failed(classic)], [['h3', 'h2'], ['h3']]);
    // The connection was kept, and no head start is spent on HTTP/3.
    const second = await race(bench, classic);
    assert.deepEqual([second.win.version, second.took, second.tried], ['h2', 0, []]);
    // A win for the one is none for the other.
    assert.deepEqual([failed(udp), failed(classic)], [['h3', 'h2'], ['h3']]);
    await closed(bench);
  });

  test('R4: when all fail there is one error with the reason of each', async () => {
    const error = {
      h3: new BautaError('ERR_PROXY_TIMEOUT'),
      h2: new BautaError('ERR_PIN_MISMATCH'),
      h1: new Error('refused'),
    };
    const bench = createBench({
      h3: { kind: 'fail', after: 400, error: error.h3 },
      h2: { kind: 'fail', after: 10, error: error.h2 },
      h1: { kind: 'fail', after: 10, error: error.h1 },
    });
    await assert.rejects(race(bench), (thrown) => {
      assert.ok(thrown instanceof UpstreamError && thrown.failure.kind === 'all_failed');
      assert.deepEqual(
        thrown.failure.attempts,
        (['h3', 'h2', 'h1'] as const).map((version) => ({ version, error: error[version] })),
      );
      const shown = bautaErrorOf(thrown);
      assert.equal(shown.code, 'ERR_PIN_MISMATCH');
      for (const part of ['h3: ', 'h2: ', 'h1: ']) assert.ok(shown.message.includes(part));
      return true;
    });
    assert.deepEqual(bench.racer.remembered(origin), { winner: undefined, failures: [] });
    await closed(bench);
  });

  test('R4: a race that takes too long or is aborted says so and leaves nothing under way', async () => {
    const bench = createBench({ h3: { kind: 'never' }, h2: { kind: 'never' }, h1: { kind: 'never' } });
    const late = bench.racer.checkout(origin, udp, { timeout: 900 });
    const rejected = assert.rejects(late, (error) => failureKind(error) === 'timeout');
    await bench.clock.advanceAsync(900);
    await rejected;
    assert.equal(bench.driver.underWay, 0);
    const abort = new AbortController();
    const aborted = bench.racer.checkout(origin, udp, { signal: abort.signal });
    await bench.clock.advanceAsync(300);
    abort.abort();
    await assert.rejects(aborted, (error) => failureKind(error) === 'aborted');
    await bench.clock.advanceAsync(0);
    assert.deepEqual([bench.driver.underWay, bench.clock.pending], [0, 0]);
    await closed(bench);
  });

  test('R5: only the versions that the user chose are tried', async () => {
    const only = createBench({ h3: { kind: 'fail', after: 10, error: new Error('no') } });
    await assert.rejects(
      race(only, udp, { versions: ['h3'] }),
      (error) => failureKind(error) === 'all_failed',
    );
    assert.deepEqual(
      only.driver.dials.map(({ target }) => target.version),
      ['h3'],
    );
    await closed(only);
    const two = createBench();
    const { win, tried } = await race(two, udp, { versions: ['h1', 'h2'] });
    assert.deepEqual([win.version, tried], ['h2', ['h2 0']]);
    await assert.rejects(
      two.racer.checkout(origin, udp, { versions: [] }),
      (error) => failureKind(error) === 'invalid_option',
    );
    await closed(two);
  });

  test('R5: a stream is opened on whatever won', async () => {
    const bench = createBench();
    const opening = bench.racer.openStream(origin, udp, head, recordingSession(), { versions: ['h2'] });
    await bench.clock.advanceAsync(60);
    const { race: result, connection, id } = await opening;
    assert.deepEqual([result.version, connection.version, id], ['h2', 'h2', 0]);
    await closed(bench);
  });
});
