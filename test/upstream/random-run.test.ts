import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { createVirtualClock } from '../../src/clock/virtual-clock.js';
import { type Random, seededRandom } from '../../src/quic/simulated/random.js';
import type { Owner } from '../../src/upstream/owner.js';
import { createPool } from '../../src/upstream/pool.js';
import type { UpstreamTarget } from '../../src/upstream/target.js';
import { failureKind } from '../../src/upstream/upstream-error.js';
import { createFakeDriver, target, transportAt } from './fake-driver.js';
import { oneOf, randomDial, randomFault, whole } from './random-faults.js';
import { head, type RecordingSession, recordingSession } from './recording-session.js';

/** One tunnel of the run. */
interface Tunnel {
  readonly session: RecordingSession;
  readonly target: UpstreamTarget;
  readonly deadline: number;
  readonly abort: AbortController;
  state: 'asking' | 'open' | 'over';
  /** Released or gone by its own doing: nothing may be told any more. */
  left: boolean;
  told: number;
}

const maxConnections = 20;
const targets: readonly UpstreamTarget[] = [
  target({ host: 'a.test' }),
  target({ host: 'b.test', version: 'h2' }),
  target({ host: 'b.test', version: 'h2', credentials: 'somebody else' }),
  target({ host: 'c.test' }),
  target({ host: 'd.test', version: 'h1' }),
];
/** Rises with each round, so that a run that stands still is noticed. */
const mostSteps = 200_000;

async function run(seed: number, sessions: number): Promise<Record<string, number>> {
  const random: Random = seededRandom(seed);
  const clock = createVirtualClock();
  const driver = createFakeDriver(clock, () => randomDial(random));
  const owners = new Set<Owner>();
  const counts: Record<string, number> = {};
  const count = (what: string): void => {
    counts[what] = (counts[what] ?? 0) + 1;
  };
  const tunnels = new Set<Tunnel>();
  const dials = { begun: 0, up: 0, failed: 0 };
  /** When the latest connections ended; each may take 5 s to close. */
  const downs: number[] = [];
  /** Checkouts under way that come to nothing. */
  let places = 0;
  const pool = createPool({
    driver,
    clock,
    random,
    randomBytes: (length) => new Uint8Array(length),
    maxConnections,
    maxConnectionsPerKey: 6,
    maxSingleUsePerKey: 4,
    maxWaitingPerKey: 200,
    holdTimeout: 300,
    dialTimeout: 2_000,
    idleTimeout: 3_000,
    backoff: { first: 50, longest: 1_000 },
    healthCheck: { interval: 500, timeout: 300 },
    events(event) {
      if (event.type === 'dial') dials.begun += 1;
      else if (event.type === 'up') {
        dials.up += 1;
        owners.add(event.owner);
      } else if (event.type === 'dial-failed') dials.failed += 1;
      else if (event.type === 'down') {
        owners.delete(event.owner);
        downs.push(clock.now());
        count(`down: ${event.failure.kind}`);
      }
    },
  });

  const open = (): void => {
    const to = oneOf(random, targets) ?? target();
    const timeout = 20 + whole(random, 2_000);
    const abort = new AbortController();
    const session = recordingSession();
    const tunnel: Tunnel = {
      session,
      target: to,
      deadline: clock.now() + timeout,
      abort,
      state: 'asking',
      left: false,
      told: 0,
    };
    session.onClosed = () => {
      tunnel.told += 1;
      assert.equal(tunnel.left, false, 'nothing is told after a release');
      tunnel.state = 'over';
      // Some release again from inside.
      if (random() < 0.3) session.acquired?.release();
    };
    tunnels.add(tunnel);
    // By which the hop tells for whom a request is.
    const authority = String(targets.indexOf(to));
    pool
      .openStream(to, { ...head, authority } as typeof head, session, { timeout, signal: abort.signal })
      .then(
        (acquired) => {
          count('acquired');
          // A session may go in the moment in which its stream comes.
          if (tunnel.state === 'asking') tunnel.state = session.gone.aborted ? 'over' : 'open';
          assert.equal(acquired.stream, session.acquired?.stream);
          assert.ok(clock.now() <= tunnel.deadline, 'a checkout is no later than its own limit');
        },
        (error: unknown) => {
          count(`failed: ${failureKind(error) ?? 'reason of another'}`);
          tunnel.state = 'over';
          assert.equal(session.ends.length, 0, 'a failed acquire is told once');
          assert.ok(clock.now() <= tunnel.deadline, 'a failure is no later than its own limit');
        },
      );
  };
  const leave = (tunnel: Tunnel): void => {
    const { session } = tunnel;
    if (tunnel.state === 'asking') {
      if (random() < 0.5) tunnel.abort.abort();
      else session.vanish();
      return;
    }
    const chance = whole(random, 3);
    const stream = session.acquired;
    if (chance === 0) {
      tunnel.left = true;
      stream?.release();
      stream?.release();
    } else if (chance === 1) {
      tunnel.left = true;
      session.vanish();
    } else {
      // In order: the peer ends, then this side.
      const transport = driver.transports.find((one) => one.connection === stream?.connection);
      const peer = transport?.peer.streams.find((one) => one.over === false);
      peer?.reset('connect-error');
      if (tunnel.told > 0) return;
      tunnel.left = true;
      stream?.release();
    }
    tunnel.state = 'over';
  };

  /** Takes a place and makes nothing of it. */
  const takeAndLeave = (): void => {
    places += 1;
    pool
      .checkout(oneOf(random, targets) ?? target(), { timeout: 500 })
      .then(
        (checkout) => {
          count('places not used');
          const chance = whole(random, 3);
          if (chance === 0) checkout.cancel();
          else if (chance === 1) checkout.discard();
          // Else its time runs out.
        },
        () => undefined,
      )
      .finally(() => {
        places -= 1;
      });
  };
  const targetOf = (owner: Owner): UpstreamTarget | undefined =>
    driver.transports.find(({ connection }) => connection === owner.connection)?.target;

  const check = (): void => {
    const live = [...owners].filter((owner) => owner.state !== 'stopped');
    assert.ok(live.length <= maxConnections, `${live.length} connections`);
    const stats = pool.stats();
    const total = (
      field: 'streams' | 'waiting' | 'dialing' | 'connections' | 'draining' | 'dials' | 'failures',
    ) => stats.reduce((sum, one) => sum + one[field], 0);
    assert.ok(total('connections') + total('draining') + total('dialing') <= maxConnections);
    assert.equal(total('connections') + total('draining'), live.length);
    assert.deepEqual([total('dials'), total('failures')], [dials.begun, dials.failed]);
    let asking = 0;
    let attached = 0;
    for (const tunnel of tunnels) {
      assert.ok(tunnel.told <= 1, 'told once');
      const { session, state, target: to } = tunnel;
      if (state === 'asking') {
        asking += 1;
        assert.ok(clock.now() <= tunnel.deadline, 'nobody waits beyond his limit');
      }
      if (state === 'open') {
        attached += 1;
        const owner = live.find(({ connection }) => connection === session.acquired?.connection);
        assert.ok(owner, 'an open tunnel has a live connection');
        assert.equal(targetOf(owner), to, 'no tunnel on a wrong key');
      }
      if (state === 'over') {
        tunnels.delete(tunnel);
        for (const signal of [session.gone, tunnel.abort.signal]) {
          assert.equal(getEventListeners(signal, 'abort').length, 0, 'no listener is left');
        }
      }
    }
    const streams = live.reduce((sum, owner) => sum + owner.streams, 0);
    assert.equal(total('streams'), streams);
    assert.ok(streams >= attached && streams <= attached + asking, `${streams} for ${attached} + ${asking}`);
    assert.ok(total('waiting') <= asking + places);
    while (downs[0] !== undefined && downs[0] < clock.now() - 5_000) downs.shift();
    // For each: its own limit; idle time and health; the close that it waits for; the dial's two; one a key.
    const timers =
      asking + places + 3 * live.length + downs.length + 2 * total('dialing') + targets.length + 1;
    assert.ok(clock.pending <= timers, `${clock.pending} timers, ${timers} have a use`);
  };

  let opened = 0;
  for (let step = 0; opened < sessions || tunnels.size > 0; step++) {
    assert.ok(step < mostSteps, 'the run comes to its end');
    const chance = random();
    if (opened < sessions && (chance < 0.55 || tunnels.size === 0)) {
      open();
      opened += 1;
    } else if (chance < 0.93 || opened >= sessions) {
      const tunnel = oneOf(random, [...tunnels]);
      if (tunnel && tunnel.state !== 'over') leave(tunnel);
    } else if (chance < 0.945) {
      takeAndLeave();
    } else if (chance < 0.97) {
      const transport = oneOf(
        random,
        driver.transports.filter((one) => !one.closed),
      );
      if (transport) count(`fault: ${randomFault(random, transport)}`);
    }
    if (random() < 0.3) await clock.advanceAsync(whole(random, 30));
    else await Promise.resolve();
    check();
  }
  // Places that were not used are given back.
  await clock.advanceAsync(500);
  check();
  const streams = [...owners].reduce((sum, owner) => sum + owner.load, 0);
  assert.equal(streams, 0, 'no slot is left');

  const closing = pool.closeAll();
  await clock.advanceAsync(5_000);
  await closing;
  await clock.advanceAsync(0);
  assert.equal(owners.size, 0);
  assert.equal(clock.pending, 0, 'no timer is left');
  for (const [index, transport] of driver.transports.entries()) {
    assert.equal(transportAt(driver, index).calls.close, 1, 'each connection is closed once');
    const stubborn = transport.conditions.closeThrows || transport.conditions.closeHangs;
    if (!stubborn) assert.deepEqual([transport.closed, transport.openStreams], [true, 0]);
    const authority = String(targets.indexOf(transport.target));
    for (const { request } of transport.peer.streams) {
      assert.ok('authority' in request && request.authority === authority, 'no request on a wrong key');
    }
  }
  const deaf = driver.dials.filter(({ aborted }) => aborted).length;
  assert.ok(driver.underWay <= deaf, 'only dials that do not listen to their abort are left');
  counts['dials'] = driver.dials.length;
  counts['connections'] = driver.transports.length;
  return counts;
}

test('O1, O4, O9, O10, O14, P1, P2, P4, P5, P6, P9: 10,000 sessions with faults leave nothing behind', {
  timeout: 120_000,
}, async (t) => {
  const counts = await run(20_261, 10_000);
  t.diagnostic(JSON.stringify(counts));
  // The run met what it is for.
  for (const fault of ['reset', 'GOAWAY', 'silent loss', 'closed by the peer', 'refused']) {
    assert.ok((counts[`fault: ${fault}`] ?? 0) > 5, fault);
  }
  assert.ok((counts['acquired'] ?? 0) > 4_000);
});

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`P5, P9: a short run with faults, seed ${seed}`, { timeout: 120_000 }, async () => {
    await run(seed, 600);
  });
}
