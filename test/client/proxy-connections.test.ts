import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConnectionsEvent, createProxyConnections } from '../../src/client/proxy-connections.js';
import { createVirtualClock } from '../../src/clock/virtual-clock.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import type { Checkout } from '../../src/upstream/checkout.js';
import { createFakeDriver, type FakeDial, type FakeDriver, transportAt } from '../upstream/fake-driver.js';
import { head, recordingSession } from '../upstream/recording-session.js';

const idle = new AbortController().signal;
const limit = { timeout: 120_000 };
const all: readonly HttpVersion[] = ['h3', 'h2', 'h1'];
const origin = { host: 'proxy.test', port: 443, tls: { trust: { mode: 'system' } } } as const;

function textOf(event: ConnectionsEvent): string {
  switch (event.type) {
    case 'retry':
      return `retry ${event.error.code} ${event.wait}`;
    case 'up':
    case 'down':
      return `${event.type} ${event.owner.version}`;
    case 'attempt-failed':
      return `failed ${event.version} ${event.error.code}`;
    default:
      return `${event.type} ${event.version}`;
  }
}

function setting(options: {
  readonly versions?: readonly HttpVersion[];
  readonly maxConnections?: number;
  readonly classicConnect?: 'also' | 'only';
  readonly plan?: FakeDriver['plan'];
}) {
  const clock = createVirtualClock();
  const driver = createFakeDriver(clock, options.plan ?? (() => ({ kind: 'up', after: 0 })));
  const events: string[] = [];
  const told: ConnectionsEvent[] = [];
  const connections = createProxyConnections({
    driver,
    origin,
    versions: options.versions ?? ['h3'],
    maxConnections: options.maxConnections ?? 8,
    classicConnect: options.classicConnect ?? 'no',
    timeout: 10_000,
    clock,
    random: () => 0,
    randomBytes: (length) => new Uint8Array(length),
    event(event) {
      told.push(event);
      events.push(textOf(event));
    },
  });
  /** Runs the clock until the promise is settled. */
  const settled = async <T>(promise: Promise<T>): Promise<T> => {
    let over = false;
    const done = (): void => {
      over = true;
    };
    promise.then(done, done);
    for (let step = 0; step < 40_000 && !over; step++) await clock.advanceAsync(1);
    assert.ok(over, 'it hangs');
    return promise;
  };
  /** Takes a place and opens a stream on it. */
  const open = async (): Promise<Checkout> => {
    const checkout = await connections.take(idle);
    void checkout.acquireStream(head, recordingSession()).catch(() => undefined);
    return checkout;
  };
  return { clock, driver, events, told, connections, settled, open };
}

const up = (after: number, maxStreams?: number): FakeDial => ({
  kind: 'up',
  after,
  conditions: maxStreams === undefined ? {} : { settings: { maxStreams } },
});
/** A network in which UDP is swallowed as long as `blocked`. */
function swallowing(state: { blocked: boolean }): FakeDriver['plan'] {
  return ({ version }) => (version === 'h3' && state.blocked ? { kind: 'never' } : up(40));
}
const lost = { reason: 'timeout', code: undefined, detail: 'nothing was heard' } as const;

function code(expected: string) {
  return (error: unknown): boolean => error instanceof BautaError && error.code === expected;
}

test(
  'R1: HTTP/3 is taken when it answers within its head start, and nothing else is tried',
  limit,
  async () => {
    const { connections, settled, events, told, clock } = setting({ versions: all, plan: () => up(200) });
    await settled(connections.start(idle));
    assert.deepEqual(events, ['attempt h3', 'up h3', 'chosen h3']);
    const chosen = told.find((event) => event.type === 'chosen');
    assert.deepEqual(chosen?.attempts, [
      { version: 'h3', outcome: 'won' },
      { version: 'h2', outcome: 'not-tried' },
      { version: 'h1', outcome: 'not-tried' },
    ]);
    await connections.close();
    assert.equal(clock.pending, 0);
  },
);

test('R1: head starts: HTTP/2 after 250 ms, HTTP/1.1 after 500 ms more', limit, async () => {
  const { connections, settled, driver } = setting({
    versions: all,
    plan: ({ version }) => (version === 'h1' ? up(10) : { kind: 'never' }),
  });
  const owner = await settled(connections.start(idle));
  assert.equal(owner.version, 'h1');
  assert.deepEqual(
    driver.dials.map(({ target, at }) => `${target.version}@${at}`),
    ['h3@0', 'h2@250', 'h1@750'],
  );
  await connections.close();
});

test(
  'R2: UDP is swallowed: HTTP/2 within the head start and a round trip, then at once, told as ERR_UDP_BLOCKED',
  limit,
  async () => {
    const { connections, settled, told, clock, driver, open } = setting({
      versions: all,
      plan: swallowing({ blocked: true }),
    });
    await settled(connections.start(idle));
    assert.ok(clock.now() <= 295, `${clock.now()}`);
    const chosen = told.find((event) => event.type === 'chosen');
    const [h3] = chosen?.attempts ?? [];
    assert.ok(h3?.outcome === 'failed' && h3.error.code === 'ERR_UDP_BLOCKED');
    assert.match(h3.error.message, /29\d ms/);
    const since = clock.now();
    for (let count = 0; count < 50; count++) await settled(open());
    assert.ok(clock.now() - since <= 100, 'the head start was paid again');
    assert.equal(driver.dials.length, 2);
    assert.equal(told.filter((event) => event.type === 'chosen').length, 1);
    await connections.close();
  },
);

for (const how of ['expiry', 'network change'] as const) {
  test(
    `R2: after ${how} HTTP/3 is tried again, taken when it works, and HTTP/2 only finishes`,
    limit,
    async () => {
      const state = { blocked: true };
      const { connections, settled, events, clock, open } = setting({
        versions: all,
        plan: swallowing(state),
      });
      const first = await settled(connections.start(idle));
      await settled(open());
      state.blocked = false;
      await settled(open());
      assert.equal([...connections.owners].length, 1);
      if (how === 'network change') connections.networkChanged();
      else {
        await clock.advanceAsync(300_000);
        // It is tried beside the tunnel, which does not wait for it.
        assert.equal((await settled(open())).owner, first);
        await clock.advanceAsync(50);
      }
      const { owner } = await settled(open());
      assert.equal(owner.version, 'h3');
      assert.equal(first.state, 'draining');
      assert.equal(first.streams, how === 'expiry' ? 3 : 2);
      assert.equal(events.at(-1), 'chosen h3');
      await connections.close();
    },
  );
}

test('R2: while UDP stays blocked, a later try costs no tunnel anything', limit, async () => {
  const { connections, settled, clock, driver, open, told } = setting({
    versions: all,
    plan: swallowing({ blocked: true }),
  });
  await settled(connections.start(idle));
  await clock.advanceAsync(300_000);
  const since = clock.now();
  await settled(Promise.all([open(), open(), open()]));
  assert.ok(clock.now() - since <= 1);
  await clock.advanceAsync(20_000);
  await settled(open());
  assert.deepEqual(
    driver.dials.map(({ target }) => target.version),
    ['h3', 'h2', 'h3'],
  );
  assert.equal(told.filter((event) => event.type === 'chosen').length, 1);
  await connections.close();
});

test(
  'R3: ERR_VERSION_UNSUPPORTED: without extended CONNECT a version counts as failed and is closed',
  limit,
  async () => {
    const { connections, settled, events, driver, clock } = setting({
      versions: ['h3', 'h2'],
      plan: () => ({
        kind: 'up',
        after: 10,
        conditions: { settings: { extendedConnect: false, datagrams: false, maxStreams: undefined } },
      }),
    });
    await assert.rejects(settled(connections.start(idle)), code('ERR_VERSION_UNSUPPORTED'));
    assert.deepEqual(
      driver.dials.map(({ target, at }) => `${target.version}@${at}`),
      ['h3@0', 'h2@10'],
    );
    assert.equal(driver.open, 0);
    assert.ok(!events.includes('up h3'));
    await connections.close();
    assert.equal(clock.pending, 0);
  },
);

test(
  'R3: where classic CONNECT is of use, a version without extended CONNECT is kept for it alone',
  limit,
  async () => {
    const plain = { settings: { extendedConnect: false, datagrams: false, maxStreams: undefined } };
    const plan: FakeDriver['plan'] = ({ version }) =>
      version === 'h2' ? { kind: 'up', after: 10, conditions: plain } : up(10);
    const classic = { extendedConnect: false, datagrams: false };
    const both = setting({ versions: ['h2', 'h1'], plan, classicConnect: 'also' });
    assert.equal((await both.settled(both.connections.start(idle))).version, 'h1');
    assert.equal((await both.settled(both.connections.take(idle, classic))).owner.version, 'h2');
    assert.equal((await both.settled(both.connections.take(idle))).owner.version, 'h1');
    assert.equal((await both.settled(both.connections.take(idle, classic))).owner.version, 'h2');
    // One of each: the first of HTTP/2 was not closed.
    assert.deepEqual(
      both.driver.dials.map(({ target }) => target.version),
      ['h2', 'h1'],
    );
    await both.connections.close();

    const one = setting({ versions: ['h2'], plan, classicConnect: 'also' });
    assert.equal((await one.settled(one.connections.start(idle))).version, 'h2');
    await assert.rejects(one.settled(one.connections.take(idle)), code('ERR_VERSION_UNSUPPORTED'));
    await one.connections.close();

    const only = setting({ versions: ['h2', 'h1'], plan, classicConnect: 'only' });
    assert.equal((await only.settled(only.connections.start(idle))).version, 'h2');
    assert.equal(only.driver.dials.length, 1);
    await only.connections.close();
  },
);

test(
  'R4: all failed: identity beats unreachable, each reason is told; alike it is said once',
  limit,
  async () => {
    const reasons = {
      h3: new BautaError('ERR_PROXY_UNREACHABLE', { detail: 'ENETUNREACH' }),
      h2: new BautaError('ERR_PIN_MISMATCH', { detail: 'it is sha256-x' }),
      h1: new BautaError('ERR_PROXY_TIMEOUT'),
    };
    const several = setting({
      versions: all,
      plan: ({ version }) => ({ kind: 'fail', after: 5, error: reasons[version] }),
    });
    await assert.rejects(several.settled(several.connections.start(idle)), (error) => {
      assert.ok(error instanceof BautaError && error.code === 'ERR_PIN_MISMATCH');
      assert.match(error.message, /h3: .*ENETUNREACH.* h2: .*sha256-x.* h1: /s);
      return error.cause instanceof AggregateError && error.cause.errors.length === 3;
    });
    const refused = new BautaError('ERR_PROXY_UNREACHABLE', { detail: 'ECONNREFUSED' });
    const alike = setting({ versions: all, plan: () => ({ kind: 'fail', after: 5, error: refused }) });
    await assert.rejects(alike.settled(alike.connections.start(idle)), (error) => {
      return error instanceof BautaError && error.message === 'The proxy cannot be reached. (ECONNREFUSED)';
    });
  },
);

test('R4: ERR_UDP_BLOCKED: it is the reason when TCP works but cannot carry a tunnel', limit, async () => {
  const { connections, settled, driver } = setting({
    versions: ['h3', 'h2'],
    plan: ({ version }) =>
      version === 'h3'
        ? { kind: 'fail', after: 9_000, error: new BautaError('ERR_PROXY_TIMEOUT') }
        : {
            kind: 'up',
            after: 10,
            conditions: { settings: { extendedConnect: false, datagrams: false, maxStreams: undefined } },
          },
  });
  await assert.rejects(settled(connections.start(idle)), code('ERR_UDP_BLOCKED'));
  assert.equal(driver.open, 0);
});

test('R5: the versions given are the only ones tried, in order of preference', limit, async () => {
  const { connections, settled, driver } = setting({
    versions: ['h1', 'h2'],
    plan: ({ version }) => up(version === 'h1' ? 1 : 900),
  });
  assert.equal((await settled(connections.start(idle))).version, 'h1');
  assert.deepEqual(
    driver.dials.map(({ target, at }) => `${target.version}@${at}`),
    ['h2@0', 'h1@500'],
  );
  await connections.close();
});

test('tunnels share a connection until it has no room, then another is opened', limit, async () => {
  const { connections, settled, open, driver } = setting({ versions: ['h2'], plan: () => up(1, 2) });
  await settled(connections.start(idle));
  const first = await settled(open());
  assert.equal((await settled(open())).owner, first.owner);
  assert.notEqual((await settled(open())).owner, first.owner);
  assert.equal(driver.transports.length, 2);
  await connections.close();
});

test('HTTP/1.1: a connection for each tunnel, the first one for the first tunnel', limit, async () => {
  const { connections, settled, open, driver } = setting({ versions: ['h1'] });
  const first = await settled(connections.start(idle));
  const taken = await settled(Promise.all([open(), open(), open()]));
  assert.equal(new Set(taken.map(({ owner }) => owner)).size, 3);
  assert.equal(taken[0]?.owner, first);
  assert.equal(driver.transports.length, 3);
  await connections.close();
});

test('ERR_TOO_MANY: HTTP/1.1 has no room beyond the connections allowed', limit, async () => {
  const { connections, settled, open } = setting({ versions: ['h1'], maxConnections: 1 });
  await settled(connections.start(idle));
  await settled(open());
  await assert.rejects(settled(open()), code('ERR_TOO_MANY'));
  await connections.close();
});

test('with all connections full and no more allowed, a tunnel waits for a place', limit, async () => {
  const { connections, settled, open, clock } = setting({
    versions: ['h2'],
    maxConnections: 1,
    plan: () => up(1, 1),
  });
  await settled(connections.start(idle));
  const first = await settled(connections.take(idle));
  const acquired = await first.acquireStream(head, recordingSession());
  let opened = false;
  const waiting = open().then((checkout) => {
    opened = true;
    return checkout;
  });
  await clock.advanceAsync(5_000);
  assert.equal(opened, false);
  acquired.release();
  assert.equal((await settled(waiting)).owner, first.owner);
  await connections.close();
});

test('a lost connection is opened again after 0.5 s, then ever later up to 30 s', limit, async () => {
  let failing = false;
  const { connections, settled, events, driver, clock } = setting({
    plan: () =>
      failing ? { kind: 'fail', after: 0, error: new BautaError('ERR_PROXY_UNREACHABLE') } : up(0),
  });
  await settled(connections.start(idle));
  failing = true;
  events.length = 0;
  const since = clock.now();
  transportAt(driver, 0).lose(lost);
  await clock.advanceAsync(0);
  assert.ok(connections.retrying);
  await clock.advanceAsync(100_000);
  assert.deepEqual(
    driver.dials.slice(1).map(({ at }) => at - since),
    [500, 1_500, 3_500, 7_500, 15_500, 31_500, 61_500, 91_500],
  );
  failing = false;
  await clock.advanceAsync(30_000);
  assert.equal(connections.retrying, false);
  assert.equal(events[0], 'down h3');
  assert.ok(events.includes('retry ERR_PROXY_UNREACHABLE 1000'));
  assert.deepEqual(events.slice(-3), ['attempt h3', 'up h3', 'chosen h3']);
  await connections.close();
  assert.equal(clock.pending, 0);
});

test(
  'a change of network: the wait for the next attempt is cut short, and the waits begin anew',
  limit,
  async () => {
    let failing = false;
    const { connections, settled, events, driver, clock } = setting({
      plan: () =>
        failing ? { kind: 'fail', after: 0, error: new BautaError('ERR_PROXY_UNREACHABLE') } : up(0),
    });
    await settled(connections.start(idle));
    failing = true;
    transportAt(driver, 0).lose(lost);
    await clock.advanceAsync(20_000);
    const dials = driver.dials.length;
    events.length = 0;
    connections.networkChanged();
    await clock.advanceAsync(1);
    assert.equal(driver.dials.length, dials + 1);
    assert.ok(events.includes('retry ERR_PROXY_UNREACHABLE 500'), events.join());
    failing = false;
    connections.networkChanged();
    connections.networkChanged();
    await clock.advanceAsync(1);
    assert.equal(connections.retrying, false);
    assert.equal(connections.owners.size, 1);
    await connections.close();
    assert.equal(clock.pending, 0);
  },
);

test(
  'a change of network: a connection that is silent since is given up, one that answers stays',
  limit,
  async () => {
    const { connections, settled, driver, clock, events } = setting({ versions: ['h2'] });
    await settled(connections.start(idle));
    connections.networkChanged();
    await clock.advanceAsync(5_000);
    assert.equal(connections.owners.size, 1);
    assert.ok(!events.includes('down h2'));
    transportAt(driver, 0).conditions.silent = true;
    connections.networkChanged();
    await clock.advanceAsync(3_100);
    assert.ok(events.includes('down h2'));
    await clock.advanceAsync(600);
    assert.equal(driver.dials.length, 2);
    await connections.close();
  },
);

test('a tunnel asked for while the connection is lost waits for the next one', limit, async () => {
  const { connections, settled, open, driver, clock } = setting({});
  await settled(connections.start(idle));
  transportAt(driver, 0).lose(lost);
  const waiting = open();
  await clock.advanceAsync(510);
  assert.equal((await waiting).owner.connection, transportAt(driver, 1).connection);
  await connections.close();
});

test(
  'a tunnel asked for while the proxy drains and takes nobody new waits until it is back',
  limit,
  async () => {
    let failing = false;
    const { connections, settled, open, driver, clock, events } = setting({
      versions: ['h2'],
      plan: () =>
        failing ? { kind: 'fail', after: 0, error: new BautaError('ERR_PROXY_UNREACHABLE') } : up(0),
    });
    await settled(connections.start(idle));
    await settled(open());
    failing = true;
    transportAt(driver, 0).peer.drain();
    const opened: Checkout[] = [];
    const waiting = open().then((checkout) => opened.push(checkout));
    await clock.advanceAsync(3_000);
    assert.ok(connections.retrying);
    assert.equal(opened.length, 0);
    // The tunnel of before runs on meanwhile.
    assert.ok(!events.includes('down h2'));
    failing = false;
    await clock.advanceAsync(10_000);
    await waiting;
    assert.equal(connections.retrying, false);
    assert.equal(opened[0]?.owner.connection, transportAt(driver, 1).connection);
    await connections.close();
    assert.equal(clock.pending, 0);
  },
);

test(
  'ERR_PROXY_UNREACHABLE: waiting ends with the reason of the last attempt, not with a bare time-out',
  limit,
  async () => {
    let failing = false;
    const reason = new BautaError('ERR_PROXY_UNREACHABLE', { detail: 'ECONNREFUSED' });
    const { connections, settled, driver, clock } = setting({
      plan: () => (failing ? { kind: 'fail', after: 0, error: reason } : up(0)),
    });
    await settled(connections.start(idle));
    failing = true;
    transportAt(driver, 0).lose(lost);
    await clock.advanceAsync(600);
    const abort = new AbortController();
    const waiting = connections.take(abort.signal);
    abort.abort();
    await assert.rejects(waiting, /ECONNREFUSED/);
    await connections.close();
  },
);

test('ERR_CLOSED: closed connections open nothing, and nothing is left waiting', limit, async () => {
  const { connections, settled, driver, clock } = setting({});
  await settled(connections.start(idle));
  transportAt(driver, 0).lose(lost);
  await clock.advanceAsync(0);
  const waiting = connections.take(idle);
  await connections.close();
  await assert.rejects(waiting, code('ERR_CLOSED'));
  await assert.rejects(connections.take(idle), code('ERR_CLOSED'));
  assert.equal(clock.pending, 0);
  assert.equal(driver.open, 0);
});
