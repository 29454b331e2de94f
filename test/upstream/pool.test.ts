import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createVirtualClock, type VirtualClock } from '../../src/clock/virtual-clock.js';
import { seededRandom } from '../../src/quic/simulated/random.js';
import type { Checkout } from '../../src/upstream/checkout.js';
import { createPool, type Pool, type PoolOptions } from '../../src/upstream/pool.js';
import type { PoolEvent } from '../../src/upstream/pool-settings.js';
import type { UpstreamTarget } from '../../src/upstream/target.js';
import { failureKind } from '../../src/upstream/upstream-error.js';
import { createFakeDriver, type FakeDriver, latency, target, transportAt } from './fake-driver.js';
import { head, recordingSession } from './recording-session.js';

const options = { timeout: 120_000 };
const here = target();

interface Bench {
  readonly clock: VirtualClock;
  readonly driver: FakeDriver;
  readonly pool: Pool;
  readonly events: PoolEvent[];
}

function createBench(given: Partial<PoolOptions> = {}, plan?: FakeDriver['plan']): Bench {
  const clock = createVirtualClock();
  const driver = createFakeDriver(clock, plan);
  const events: PoolEvent[] = [];
  const pool = createPool({
    driver,
    clock,
    random: seededRandom(1),
    randomBytes: (length) => new Uint8Array(length).fill(7),
    events: (event) => events.push(event),
    ...given,
  });
  return { clock, driver, pool, events };
}

/** What became of a promise, looked at without waiting. */
function watch<T>(promise: Promise<T>): { value: T | undefined; error: unknown; readonly at: () => string } {
  const seen = { value: undefined as T | undefined, error: undefined as unknown, at: () => state };
  let state = 'pending';
  promise.then(
    (value) => {
      state = 'done';
      seen.value = value;
    },
    (error: unknown) => {
      state = failureKind(error) ?? 'error';
      seen.error = error;
    },
  );
  return seen;
}

async function up(bench: Bench, to: UpstreamTarget = here): Promise<Checkout> {
  const checkout = bench.pool.checkout(to);
  await bench.clock.advanceAsync(latency);
  return checkout;
}

async function closed(bench: Bench): Promise<void> {
  await bench.pool.closeAll();
  await bench.clock.advanceAsync(0);
  assert.deepEqual([bench.driver.open, bench.driver.underWay, bench.clock.pending], [0, 0, 0]);
}

describe('a pool on the fake transport', { ...options, timeout: 600_000 }, () => {
  test('P1: targets that differ in anything that matters have keys of their own', async () => {
    const { fingerprint } = createBench().pool;
    const pem = (text: string): string => `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`;
    const trust = { mode: 'system' } as const;
    const different: UpstreamTarget[] = [
      here,
      target({ host: 'other.test' }),
      target({ port: 8443 }),
      target({ version: 'h2' }),
      target({ version: 'h1' }),
      target({ tls: { trust: { mode: 'insecure' } } }),
      target({ tls: { trust: { mode: 'ca', ca: pem('AAAA') } } }),
      target({ tls: { trust: { mode: 'ca', ca: pem('AAAA') + pem('BBBB') } } }),
      target({ tls: { trust: { mode: 'pin', pins: ['sha256-a'] } } }),
      target({ tls: { trust: { mode: 'pin', pins: ['sha256-b'] } } }),
      target({ tls: { trust, certificate: { cert: 'cert', key: 'key' } } }),
      target({ tls: { trust, certificate: { cert: 'cert', key: 'another key' } } }),
      target({ tls: { trust, alpn: ['h3', 'h3-29'] } }),
      target({ tls: { trust, serverName: 'front.test' } }),
      target({ tls: { trust, keyLogFile: '/tmp/keys' } }),
      target({ credentials: 'anna:secret' }),
      target({ credentials: 'bert:secret' }),
      target({ credentials: '' }),
      target({ proxyPath: ['a'] }),
      target({ proxyPath: ['a', 'b'] }),
      target({ proxyPath: ['b', 'a'] }),
      target({ proxyPath: ['ab'] }),
      target({ h3Settings: { h3Datagram: false } }),
      target({ h3Settings: { maxFieldSectionSize: 1_000 } }),
      target({ h3Limits: { cancelledRequests: { burst: 1, perSecond: 2 } } }),
      target({ h3Limits: { cancelledRequests: { burst: 12, perSecond: 2 } } }),
      target({ quic: { keepAlive: 5_000 } }),
    ];
    const keys = different.map(fingerprint);
    assert.equal(new Set(keys).size, different.length);
    for (const key of keys) assert.doesNotMatch(key, /secret|anna/);
  });

  test('P1: targets that mean the same share a key, and another pool has other keys', async () => {
    const { fingerprint } = createBench().pool;
    assert.equal(fingerprint(target()), fingerprint(target({ host: 'PROXY.test' })));
    const explicit = { serverName: 'proxy.test', alpn: ['h3'], trust: { mode: 'system' } } as const;
    assert.equal(fingerprint(target()), fingerprint(target({ tls: explicit })));
    const a = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    const b = '-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n';
    const of = (ca: string | Uint8Array): string =>
      fingerprint(target({ tls: { trust: { mode: 'ca', ca } } }));
    assert.equal(of(a + b), of(Buffer.from(`${b}\r\n${a}${a}`)));
    const other = createBench({ randomBytes: (length) => new Uint8Array(length).fill(8) }).pool;
    assert.notEqual(other.fingerprint(target()), fingerprint(target()));
  });

  test('P1: no connection serves a target of another key', async () => {
    const bench = createBench();
    const first = await up(bench);
    const second = await up(bench, target({ credentials: 'somebody else' }));
    assert.notEqual(first.owner, second.owner);
    assert.equal(bench.driver.dials.length, 2);
    first.cancel();
    second.cancel();
    await closed(bench);
  });

  test('P2: a hundred checkouts at once cause one dial', async () => {
    const bench = createBench();
    const all = Promise.all(Array.from({ length: 100 }, () => bench.pool.checkout(here)));
    await bench.clock.advanceAsync(latency);
    const checkouts = await all;
    assert.equal(new Set(checkouts.map(({ owner }) => owner)).size, 1);
    assert.equal(bench.driver.dials.length, 1);
    checkouts[0]?.cancel();
    assert.equal((await bench.pool.checkout(here)).owner, checkouts[0]?.owner);
    await closed(bench);
  });

  test('P2: more than one connection is expected to carry cause as many dials as it takes', async () => {
    const bench = createBench({ maxStreams: 10 });
    const all = Promise.all(Array.from({ length: 35 }, () => bench.pool.checkout(here)));
    assert.equal(bench.driver.dials.length, 4);
    await bench.clock.advanceAsync(latency);
    await all;
    assert.equal(bench.driver.dials.length, 4);
    await closed(bench);
  });

  test('P2: a failed dial fails its waiters with its reason, and the next checkout dials afresh', async () => {
    const refused = new Error('refused');
    const bench = createBench({}, (_, dial) =>
      dial === 0 ? { kind: 'fail', error: refused } : { kind: 'up' },
    );
    const waiters = [1, 2, 3].map(() => watch(bench.pool.checkout(here)));
    await bench.clock.advanceAsync(latency);
    for (const waiter of waiters) assert.equal(waiter.error, refused);
    const next = watch(bench.pool.checkout(here));
    assert.equal(bench.driver.dials.length, 2);
    await bench.clock.advanceAsync(latency);
    assert.equal(next.at(), 'done');
    await closed(bench);
  });

  test('P2: dials that fail repeatedly wait longer and longer', async () => {
    const bench = createBench({}, () => ({ kind: 'fail', after: 0, error: new Error('refused') }));
    const gaps: number[] = [];
    for (let round = 0; round < 7; round++) {
      const before = bench.driver.dials.at(-1)?.at ?? 0;
      const waiter = watch(bench.pool.checkout(here, { timeout: 100_000 }));
      for (let step = 0; step < 4_000 && waiter.at() === 'pending'; step++)
        await bench.clock.advanceAsync(25);
      assert.equal(waiter.at(), 'error');
      gaps.push((bench.driver.dials.at(-1)?.at ?? 0) - before);
    }
    assert.ok((gaps[1] ?? 99) < 50, 'the second dial comes at once');
    for (const [index, least] of [375, 750, 1_500, 3_000, 6_000].entries()) {
      const gap = gaps[index + 2] ?? 0;
      assert.ok(gap >= least && gap <= (least * 4) / 3 + 50, `${gap} ms after ${index + 2} failures`);
    }
    await closed(bench);
  });

  test('P2: on HTTP/3 a burst beyond what is expected to fit goes to further connections', async () => {
    const bench = createBench();
    const all = Array.from({ length: 250 }, () => bench.pool.openStream(here, head, recordingSession()));
    await bench.clock.advanceAsync(latency);
    const used = new Set((await Promise.all(all)).map(({ connection }) => connection));
    assert.equal(bench.driver.dials.length, 3);
    assert.ok(used.size > 1);
    assert.equal(bench.driver.open, used.size, 'a connection that came too late for all is not kept');
    await closed(bench);
  });

  test('P3: a handshake that never ends delays neither another key nor what a connection can serve', async () => {
    const bench = createBench({ maxStreams: 2 }, ({ host }, dial) =>
      host === 'slow.test' || dial === 2 ? { kind: 'never' } : { kind: 'up' },
    );
    const slow = watch(bench.pool.checkout(target({ host: 'slow.test' })));
    const first = await up(bench);
    const second = await bench.pool.checkout(here);
    const third = watch(bench.pool.checkout(here));
    assert.equal(bench.driver.dials.length, 3);
    first.cancel();
    await bench.clock.advanceAsync(0);
    assert.equal(third.at(), 'done', 'served by the connection that was full');
    third.value?.cancel();
    second.cancel();
    assert.equal((await bench.pool.checkout(here)).owner, first.owner);
    assert.equal(slow.at(), 'pending');
    await closed(bench);
  });

  test('P4: a checkout keeps its own time limit, whatever that of the dial is', async () => {
    const bench = createBench({ dialTimeout: 60_000 }, () => ({ kind: 'never' }));
    const short = watch(bench.pool.checkout(here, { timeout: 50 }));
    const long = watch(bench.pool.checkout(here, { timeout: 200 }));
    await bench.clock.advanceAsync(50);
    assert.deepEqual([short.at(), long.at()], ['timeout', 'pending']);
    assert.equal(bench.driver.dials[0]?.aborted, false, 'the dial goes on for the other');
    await bench.clock.advanceAsync(149);
    assert.equal(long.at(), 'pending');
    await bench.clock.advanceAsync(1);
    assert.equal(long.at(), 'timeout');
    assert.equal(bench.driver.dials[0]?.aborted, true, 'nobody waits any more');
    assert.deepEqual([bench.driver.underWay, bench.clock.pending], [0, 0]);
    assert.equal(bench.pool.stats()[0]?.failures, 0);
    await closed(bench);
  });

  test('P4: a dial is cancelled when its last waiter is served by another connection', async () => {
    const bench = createBench({ maxStreams: 1 }, (_, dial) =>
      dial === 0 ? { kind: 'up' } : { kind: 'never' },
    );
    const first = await up(bench);
    const second = watch(bench.pool.checkout(here));
    assert.equal(bench.driver.underWay, 1);
    first.cancel();
    await bench.clock.advanceAsync(0);
    assert.deepEqual([second.at(), bench.driver.underWay], ['done', 0]);
    await closed(bench);
  });

  test('P4: a checkout keeps its own signal', async () => {
    const bench = createBench();
    const abort = new AbortController();
    const leaving = watch(bench.pool.checkout(here, { signal: abort.signal }));
    const staying = watch(bench.pool.checkout(here));
    await bench.clock.advanceAsync(5);
    abort.abort();
    await bench.clock.advanceAsync(0);
    assert.equal(leaving.at(), 'aborted');
    await bench.clock.advanceAsync(latency);
    assert.equal(staying.at(), 'done');
    assert.equal(bench.driver.dials.length, 1);
    const late = watch(bench.pool.checkout(here, { signal: abort.signal }));
    await bench.clock.advanceAsync(0);
    assert.equal(late.at(), 'aborted');
    await closed(bench);
  });

  test('P5: full connections lead to further ones, up to the limit of the key; the rest wait in order', async () => {
    const bench = createBench({ maxStreams: 2, maxConnectionsPerKey: 2, maxWaitingPerKey: 3 });
    const all = Array.from({ length: 7 }, () => watch(bench.pool.checkout(here)));
    await bench.clock.advanceAsync(latency);
    // Four wait for the two dials, and three are too many for a queue of three.
    assert.deepEqual(
      all.map((one) => one.at()),
      ['done', 'done', 'done', ...Array<string>(4).fill('pool_exhausted')],
    );
    const more = Array.from({ length: 5 }, () => watch(bench.pool.checkout(here)));
    await bench.clock.advanceAsync(latency);
    assert.deepEqual(
      more.map((one) => one.at()),
      ['done', 'pending', 'pending', 'pending', 'pool_exhausted'],
    );
    assert.equal(bench.driver.dials.length, 2);
    all[0]?.value?.cancel();
    await bench.clock.advanceAsync(0);
    assert.deepEqual(
      more.map((one) => one.at()),
      ['done', 'done', 'pending', 'pending', 'pool_exhausted'],
    );
    await closed(bench);
  });

  test('P5: the limit of the pool holds over all keys, and whoever waits for it comes in turn', async () => {
    const bench = createBench({ maxStreams: 1, maxConnections: 2 });
    const a = await up(bench, target({ host: 'a.test' }));
    const b = await up(bench, target({ host: 'b.test' }));
    const c = watch(bench.pool.checkout(target({ host: 'c.test' })));
    const d = watch(bench.pool.checkout(target({ host: 'd.test' })));
    await bench.clock.advanceAsync(1_000);
    assert.deepEqual([bench.driver.dials.length, c.at(), d.at()], [2, 'pending', 'pending']);
    void b.owner.stop();
    await bench.clock.advanceAsync(latency);
    assert.deepEqual([bench.driver.dials.length, c.at(), d.at()], [3, 'done', 'pending']);
    void a.owner.stop();
    await bench.clock.advanceAsync(latency);
    assert.deepEqual([bench.driver.dials.length, d.at()], [4, 'done']);
    await closed(bench);
  });

  test('P5: an unused connection of one key makes room for another key', async () => {
    const bench = createBench({ maxConnections: 1 });
    const a = await up(bench, target({ host: 'a.test' }));
    const session = recordingSession();
    const { release } = await a.acquireStream(head, session);
    const b = watch(bench.pool.checkout(target({ host: 'b.test' })));
    await bench.clock.advanceAsync(latency);
    assert.equal(b.at(), 'pending');
    release();
    const c = watch(bench.pool.checkout(target({ host: 'c.test' })));
    await bench.clock.advanceAsync(latency);
    assert.deepEqual([b.at(), c.at(), a.owner.state, bench.driver.open], ['done', 'pending', 'stopped', 1]);
    await closed(bench);
  });

  test('P6: a connection that is stopped, lost or draining is never handed out again', async () => {
    for (const end of ['stop', 'lose', 'drain'] as const) {
      const bench = createBench();
      const first = await up(bench);
      const session = recordingSession();
      await first.acquireStream(head, session);
      const transport = transportAt(bench.driver, 0);
      if (end === 'stop') void first.owner.stop();
      else if (end === 'lose') transport.lose();
      else transport.peer.drain();
      assert.equal(bench.pool.stats()[0]?.connections, 0);
      assert.equal(bench.pool.stats()[0]?.draining, end === 'drain' ? 1 : 0);
      const next = await up(bench);
      assert.notEqual(next.owner, first.owner);
      assert.equal(session.ends.length, end === 'drain' ? 0 : 1);
      await closed(bench);
    }
  });

  test('P6: what dies between checkout and acquire is retried once, on another connection', async () => {
    const bench = createBench();
    const checkout = await up(bench);
    transportAt(bench.driver, 0).lose();
    const acquiring = watch(checkout.acquireStream(head, recordingSession()));
    await bench.clock.advanceAsync(latency);
    assert.equal(acquiring.at(), 'done');
    assert.equal(acquiring.value?.connection, transportAt(bench.driver, 1).connection);

    const again = await bench.pool.checkout(here);
    bench.driver.plan = () => ({ kind: 'up', conditions: { openThrows: new Error('broken') } });
    transportAt(bench.driver, 1).peer.drain();
    const second = watch(again.acquireStream(head, recordingSession()));
    await bench.clock.advanceAsync(latency);
    assert.equal((second.error as Error).message, 'broken');
    assert.equal(bench.driver.dials.length, 3, 'and not twice');
    await closed(bench);
  });

  test('P7: the connection with the fewest streams is chosen', async () => {
    const bench = createBench();
    await Promise.all([bench.pool.warmUp(here, 3), bench.clock.advanceAsync(latency)]);
    const used = new Map<unknown, number>();
    const streams = [];
    for (let index = 0; index < 30; index++) {
      const stream = await bench.pool.openStream(here, head, recordingSession());
      streams.push(stream);
      used.set(stream.connection, (used.get(stream.connection) ?? 0) + 1);
    }
    assert.deepEqual([...used.values()], [10, 10, 10]);
    const [freed] = streams;
    freed?.release();
    const next = await bench.pool.openStream(here, head, recordingSession());
    assert.equal(next.connection, freed?.connection);
    await closed(bench);
  });

  test('P7: a connection that loses packets counts as more loaded', async () => {
    const bench = createBench();
    await Promise.all([bench.pool.warmUp(here, 2), bench.clock.advanceAsync(latency)]);
    const bad = transportAt(bench.driver, 0);
    const good = transportAt(bench.driver, 1);
    bad.conditions.statistics = { packetsSent: 1_000, packetsLost: 500 };
    good.conditions.statistics = { packetsSent: 1_000, packetsLost: 0 };
    const first = await bench.pool.openStream(here, head, recordingSession());
    await bench.clock.advanceAsync(0);
    first.release();
    for (let index = 0; index < 4; index++) {
      const stream = await bench.pool.openStream(here, head, recordingSession());
      assert.equal(stream.connection, good.connection);
    }
    await closed(bench);
  });

  test('P8: warming up opens the minimum of connections and keeps it', async () => {
    const bench = createBench({ idleTimeout: 1_000 });
    const warming = watch(bench.pool.warmUp(here, 2));
    await bench.clock.advanceAsync(latency);
    assert.deepEqual([warming.at(), bench.driver.open], ['done', 2]);
    await bench.clock.advanceAsync(10_000);
    assert.equal(bench.driver.open, 2, 'idle ones of the minimum stay');
    transportAt(bench.driver, 0).lose();
    await bench.clock.advanceAsync(latency);
    assert.equal(bench.driver.open, 2, 'a lost one is replaced');
    await bench.pool.warmUp(here, 0);
    await bench.clock.advanceAsync(2_000);
    assert.equal(bench.driver.open, 0);
    await closed(bench);
  });

  test('P8: a warm-up that fails tells the reason and goes on trying', async () => {
    const refused = new Error('refused');
    const bench = createBench({}, (_, dial) =>
      dial < 3 ? { kind: 'fail', error: refused } : { kind: 'up' },
    );
    const warming = watch(bench.pool.warmUp(here, 1));
    await bench.clock.advanceAsync(latency);
    assert.equal(warming.error, refused);
    await bench.clock.advanceAsync(5_000);
    assert.deepEqual([bench.driver.open, bench.driver.dials.length], [1, 4]);
    await closed(bench);
  });

  test('P8: a health check finds a dead path before a user does', async () => {
    const bench = createBench({ healthCheck: { interval: 1_000, timeout: 500 }, idleTimeout: 0 });
    const checkout = await up(bench);
    const session = recordingSession();
    await checkout.acquireStream(head, session);
    const transport = transportAt(bench.driver, 0);
    await bench.clock.advanceAsync(5_000);
    assert.equal(checkout.owner.state, 'open');
    transport.conditions.silent = true;
    await bench.clock.advanceAsync(1_500);
    assert.equal(checkout.owner.state, 'stopped');
    const [end] = session.ends;
    assert.ok(end?.kind === 'lost' && end.reason === 'timeout' && end.failure.kind === 'unresponsive');
    assert.equal(bench.pool.stats()[0]?.connections, 0);
    assert.equal(transport.calls.close, 1);
    await closed(bench);
  });

  test('P9: closeAll closes everything, ends every waiter and leaves no timer', async () => {
    const bench = createBench({ maxStreams: 1, maxConnectionsPerKey: 2 }, (_, dial) =>
      dial === 0 ? { kind: 'up' } : { kind: 'never' },
    );
    const checkout = await up(bench);
    const session = recordingSession();
    await checkout.acquireStream(head, session);
    const held = watch(bench.pool.checkout(here));
    const queued = watch(bench.pool.checkout(here));
    const other = watch(bench.pool.checkout(target({ host: 'other.test' })));
    const warming = watch(bench.pool.warmUp(target({ host: 'warm.test' }), 1));
    const closing = watch(bench.pool.closeAll());
    await bench.clock.advanceAsync(0);
    for (const waiter of [held, queued, other, warming]) assert.equal(waiter.at(), 'stopped');
    assert.equal(closing.at(), 'done');
    assert.equal(session.ends.length, 1);
    const late = watch(bench.pool.checkout(here));
    await bench.clock.advanceAsync(0);
    assert.equal(late.at(), 'stopped');
    await closed(bench);
  });

  test('P9: a place that is never used is given back in time', async () => {
    const bench = createBench({ maxStreams: 1, maxConnectionsPerKey: 1, holdTimeout: 500 });
    const held = await up(bench);
    const waiting = watch(bench.pool.checkout(here));
    await bench.clock.advanceAsync(499);
    assert.equal(waiting.at(), 'pending');
    await bench.clock.advanceAsync(1);
    assert.equal(waiting.at(), 'done');
    const late = watch(held.acquireStream(head, recordingSession()));
    await bench.clock.advanceAsync(0);
    assert.equal(late.at(), 'checkout_over');
    await closed(bench);
  });

  test('P10: figures for each key, and the same as metrics', async () => {
    const bench = createBench({}, ({ host }) =>
      host === 'bad.test' ? { kind: 'fail', error: new Error('refused') } : { kind: 'up' },
    );
    const bad = watch(bench.pool.checkout(target({ host: 'bad.test' })));
    await (await up(bench)).acquireStream(head, recordingSession());
    await bench.pool.openStream(here, head, recordingSession());
    assert.equal(bad.at(), 'error');
    const key = bench.pool.fingerprint(here);
    const figures = {
      key,
      connections: 1,
      draining: 0,
      streams: 2,
      waiting: 0,
      dialing: 0,
      dials: 1,
      failures: 0,
      hits: 1,
    };
    assert.deepEqual(
      bench.pool.stats().find((one) => one.key === key),
      figures,
    );
    const metrics = bench.pool.metrics();
    const value = (name: string): number | undefined =>
      metrics.find((metric) => metric.name === name && metric.labels.key === key)?.value;
    assert.equal(value('bauta_upstream_streams'), 2);
    assert.equal(value('bauta_upstream_hits_total'), 1);
    const badKey = bench.pool.fingerprint(target({ host: 'bad.test' }));
    assert.deepEqual(
      bench.pool
        .stats()
        .filter((one) => one.key === badKey)
        .map((one) => [one.dials, one.failures]),
      [[1, 1]],
    );
    await closed(bench);
  });

  test('P10: the figures of keys that are forgotten stay in the total', async () => {
    const bench = createBench({ maxKeys: 4 }, () => ({ kind: 'fail', error: new Error('refused') }));
    for (let index = 0; index < 20; index++) {
      const one = watch(bench.pool.checkout(target({ host: `host-${index}.test` })));
      await bench.clock.advanceAsync(latency);
      assert.equal(one.at(), 'error');
    }
    const stats = bench.pool.stats();
    assert.equal(stats.length, 5);
    assert.equal(
      stats.reduce((sum, one) => sum + one.failures, 0),
      20,
    );
    await closed(bench);
  });

  test('P11: each checkout for HTTP/1.1 gets a connection of its own, which ends with its session', async () => {
    const bench = createBench({ maxSingleUsePerKey: 2 });
    const h1 = target({ version: 'h1' });
    const a = await up(bench, h1);
    const b = await up(bench, h1);
    assert.notEqual(a.owner, b.owner);
    const third = watch(bench.pool.checkout(h1));
    await bench.clock.advanceAsync(1_000);
    assert.deepEqual([third.at(), bench.driver.dials.length], ['pending', 2]);
    const { release } = await a.acquireStream(head, recordingSession());
    release();
    await bench.clock.advanceAsync(0);
    assert.equal(transportAt(bench.driver, 0).closed, true);
    await bench.clock.advanceAsync(latency);
    assert.equal(third.at(), 'done');
    b.cancel();
    assert.equal(b.owner.state, 'stopped', 'a place that is given back ends it too');
    assert.equal(bench.pool.stats()[0]?.hits, 0);
    await closed(bench);
  });

  test('P11: connections of HTTP/1.1 count against the limit of the pool', async () => {
    const bench = createBench({ maxConnections: 1 });
    const a = await up(bench, target({ version: 'h1' }));
    const other = watch(bench.pool.checkout(here));
    await bench.clock.advanceAsync(1_000);
    assert.equal(other.at(), 'pending');
    a.cancel();
    await bench.clock.advanceAsync(latency);
    assert.equal(other.at(), 'done');
    await closed(bench);
  });
});
