import type { Timer } from '../clock/clock.js';
import type { Line, Place } from '../tables/line.js';
import { createDialBackoff } from './backoff.js';
import { type Checkout, type CheckoutOptions, createCheckout } from './checkout.js';
import { createCongestionGauge } from './congestion.js';
import type { BudgetUser, ConnectionBudget } from './connection-budget.js';
import { type DialResult, dialOwner } from './dial-owner.js';
import type { ExpiryQueue } from './expiry-queue.js';
import { type HealthCheck, startHealthCheck } from './health-check.js';
import { type Candidate, leastLoaded } from './least-loaded.js';
import type { Owner, OwnerEvents } from './owner.js';
import type { PoolEvent, PoolSettings } from './pool-settings.js';
import type { KeyStats } from './pool-stats.js';
import type { UpstreamTarget } from './target.js';
import { UpstreamError, type UpstreamFailure } from './upstream-error.js';
import { createWaiter, type Waiter } from './waiter.js';

/** What the keys of a pool share. */
export interface SharedParts {
  readonly settings: PoolSettings;
  readonly budget: ConnectionBudget;
  readonly expiry: ExpiryQueue<Checkout>;
  /** Connections without load, the longest unused first, and whether they may be given up for another key's sake. */
  readonly unused: Line<UnusedOwner>;
  readonly event: (event: PoolEvent) => void;
  /** Checkouts that wait, over all keys. */
  waiting: number;
}

export interface UnusedOwner {
  readonly owner: Owner;
  readonly mayExpire: () => boolean;
}

/** The connections to one target. */
export interface KeyPool {
  checkout(options: CheckoutOptions, retry: boolean): Promise<Checkout>;
  /** Keeps at least `count` connections from here on; resolves when they are up. */
  keep(count: number, options: CheckoutOptions): Promise<void>;
  stats(): KeyStats;
  /** Nothing is there to be kept but figures. */
  readonly forgettable: boolean;
  close(): Promise<void>;
}

interface Member extends Candidate {
  readonly health: HealthCheck | undefined;
  /** Where it is among those without load. */
  unused: Place<UnusedOwner> | undefined;
}

interface Dial {
  readonly cancel: AbortController;
  readonly waiters: Set<Waiter<Checkout>>;
  /** For the minimum of connections: it goes on without waiters. */
  readonly kept: boolean;
  over: Promise<void>;
}

/** Streams that a connection is expected to carry before one has shown it. */
const EXPECTED = 100;

export function createKeyPool(key: string, target: UpstreamTarget, shared: SharedParts): KeyPool {
  const { settings, budget, unused } = shared;
  const { clock } = settings;
  const single = target.version === 'h1';
  const limit = single ? settings.maxSingleUsePerKey : settings.maxConnectionsPerKey;
  const members = new Map<Owner, Member>();
  const leaving = new Set<Owner>();
  const dials = new Set<Dial>();
  /** In the order in which they came, each with the dial that it counts on. */
  const waiting = new Map<Waiter<Checkout>, Dial | undefined>();
  const unassigned = new Set<Waiter<Checkout>>();
  const keepers = new Set<{ readonly count: number; readonly waiter: Waiter<void> }>();
  const backoff = createDialBackoff(clock, settings.random, settings.backoff);
  let expected = typeof settings.maxStreams === 'number' ? settings.maxStreams : EXPECTED;
  let minimum = 0;
  let retryTimer: Timer | undefined;
  let closed = false;
  /** Opening a connection may end another one, which leads here again. */
  let planning = false;
  let replan = false;
  let dialCount = 0;
  let failures = 0;
  let hits = 0;

  const user: BudgetUser = { roomInPool: () => plan() };

  const endUnused = (member: Member | undefined): void => {
    if (!member?.unused) return;
    unused.leave(member.unused);
    member.unused = undefined;
  };
  const handOut = (owner: Owner, retry: boolean): Checkout | undefined => {
    try {
      const reservation = owner.reserve();
      endUnused(members.get(owner));
      const { expiry } = shared;
      const again = (options: CheckoutOptions): Promise<Checkout> => checkout(options, false);
      return createCheckout(
        { key, clock, expiry, acquireTimeout: settings.acquireTimeout, again },
        reservation,
        retry,
      );
    } catch {
      // It died in this very moment, and was evicted.
      return undefined;
    }
  };
  /** A place on the best connection that there is. */
  const takePlace = (retry: boolean): Checkout | undefined => {
    if (single) return undefined;
    for (let tries = members.size; tries > 0; tries--) {
      const best = leastLoaded(members.values());
      if (!best) return undefined;
      const made = handOut(best.owner, retry);
      if (made) return made;
    }
    return undefined;
  };
  const detach = (waiter: Waiter<Checkout>): void => {
    const dial = waiting.get(waiter);
    if (waiting.delete(waiter)) shared.waiting -= 1;
    unassigned.delete(waiter);
    dial?.waiters.delete(waiter);
  };
  /** Serves whoever waits, in order; tells whether anybody was served. */
  const serve = (): boolean => {
    const before = waiting.size;
    for (const waiter of waiting.keys()) {
      const made = takePlace(true);
      if (!made) break;
      detach(waiter);
      waiter.resolve(made);
    }
    return waiting.size < before;
  };

  const dialWithRoom = (): Dial | undefined => {
    if (single) return undefined;
    for (const dial of dials) if (dial.waiters.size < expected && !dial.cancel.signal.aborted) return dial;
    return undefined;
  };
  const startDial = (kept: boolean): Dial | undefined => {
    const wait = backoff.wait;
    if (wait > 0) {
      retryTimer ??= clock.setTimeout(() => {
        retryTimer = undefined;
        plan();
      }, wait);
      retryTimer.unref();
    }
    if (wait > 0 || members.size + dials.size >= limit) {
      budget.forget(user);
      return undefined;
    }
    if (!budget.take(user)) return undefined;
    dialCount += 1;
    const cancel = new AbortController();
    const dial: Dial = { cancel, kept, waiters: new Set(), over: Promise.resolve() };
    dials.add(dial);
    shared.event({ type: 'dial', key });
    const options = { ...settings.owner, clock, tag: key, singleUse: single, mayExpire, events };
    dial.over = dialOwner(settings.driver, target, options, cancel.signal).then((result) =>
      finish(dial, result),
    );
    return dial;
  };
  /** Gives each waiter a dial to count on, keeps the minimum, and cancels dials that nobody wants. */
  const plan = (): void => {
    replan = true;
    if (planning) return;
    planning = true;
    while (replan && !closed) {
      replan = false;
      planOnce();
    }
    planning = false;
  };
  const planOnce = (): void => {
    for (const waiter of unassigned) {
      const dial = dialWithRoom() ?? startDial(false);
      if (!dial) break;
      unassigned.delete(waiter);
      waiting.set(waiter, dial);
      dial.waiters.add(waiter);
    }
    while (members.size + dials.size < Math.min(minimum, limit)) if (!startDial(true)) break;
    for (const dial of dials) if (dial.waiters.size === 0 && !dial.kept) dial.cancel.abort();
    if (unassigned.size > 0 || members.size + dials.size < minimum) return;
    budget.forget(user);
    clock.clearTimeout(retryTimer);
    retryTimer = undefined;
  };

  const finish = (dial: Dial, result: DialResult): void => {
    dials.delete(dial);
    if (result.kind === 'up' && (closed || dial.cancel.signal.aborted)) {
      void result.owner.stop({ kind: 'stopped', detail: 'nobody wanted it' });
      budget.giveBack();
    } else if (result.kind === 'up' && result.owner.state === 'open') up(dial, result.owner);
    else if (result.kind === 'up') {
      void result.owner.stop();
      failed(dial, new UpstreamError({ kind: 'stopped', detail: 'gone as soon as it was up' }));
    } else if (dial.cancel.signal.aborted) budget.giveBack();
    else failed(dial, result.error);
    plan();
  };
  const up = (dial: Dial, owner: Owner): void => {
    backoff.succeeded();
    const { connection } = owner;
    const health =
      settings.healthCheck && !single
        ? startHealthCheck(connection, clock, settings.healthCheck, () => {
            const after = settings.healthCheck ? settings.healthCheck.timeout : 0;
            void owner.stop({ kind: 'unresponsive', after });
          })
        : undefined;
    const congestion = createCongestionGauge(connection, clock);
    members.set(owner, { owner, health, congestion, unused: undefined });
    if (typeof settings.maxStreams !== 'number') expected = Math.max(1, owner.capacity ?? EXPECTED);
    shared.event({ type: 'up', key, owner });
    const [first] = dial.waiters;
    if (single && first) {
      const made = handOut(owner, false);
      detach(first);
      if (made) first.resolve(made);
      else first.reject(new UpstreamError({ kind: 'stopped', detail: 'gone as soon as it was up' }));
    } else if (single) void owner.stop({ kind: 'stopped', detail: 'nobody wanted it' });
    // Whoever it cannot serve counts on another one.
    for (const waiter of dial.waiters) {
      waiting.set(waiter, undefined);
      unassigned.add(waiter);
    }
    serve();
    for (const keeper of [...keepers]) {
      if (members.size < keeper.count) continue;
      keepers.delete(keeper);
      keeper.waiter.resolve();
    }
  };
  const failed = (dial: Dial, error: unknown): void => {
    budget.giveBack();
    failures += 1;
    backoff.failed();
    shared.event({ type: 'dial-failed', key, error });
    for (const waiter of [...dial.waiters]) {
      detach(waiter);
      waiter.reject(error);
    }
    if (!dial.kept) return;
    for (const keeper of keepers) keeper.waiter.reject(error);
    keepers.clear();
  };

  const evict = (owner: Owner): boolean => {
    const member = members.get(owner);
    if (!member) return false;
    members.delete(owner);
    endUnused(member);
    member.health?.stop();
    return true;
  };
  const mayExpire = (): boolean => members.size > minimum || single;
  const events: OwnerEvents = {
    room(owner) {
      // A dial may have nobody left who counts on it.
      if (waiting.size > 0 && serve()) plan();
      const member = !single && owner.load === 0 ? members.get(owner) : undefined;
      if (member) member.unused ??= unused.join({ owner, mayExpire });
    },
    draining(owner) {
      if (!evict(owner)) return;
      leaving.add(owner);
      shared.event({ type: 'draining', key, owner });
      plan();
    },
    stopped(owner, failure) {
      const known = evict(owner) || leaving.delete(owner);
      if (!known) return;
      shared.event({ type: 'down', key, owner, failure });
      budget.giveBack();
      plan();
    },
    fault: (error) => shared.event({ type: 'fault', key, error }),
  };

  const refusal = (signal: AbortSignal | undefined): UpstreamFailure | undefined => {
    if (closed) return { kind: 'stopped', detail: 'the pool is closed' };
    return signal?.aborted ? { kind: 'aborted', of: 'checkout' } : undefined;
  };
  const checkout = async (
    { timeout = settings.checkoutTimeout, signal }: CheckoutOptions,
    retry: boolean,
  ): Promise<Checkout> => {
    const refused = refusal(signal);
    if (refused) throw new UpstreamError(refused);
    // Whoever waits comes first.
    if (waiting.size > 0 && serve()) plan();
    const made = takePlace(retry);
    if (made) {
      hits += 1;
      return made;
    }
    if (waiting.size >= settings.maxWaitingPerKey || shared.waiting >= settings.maxWaiting) {
      throw new UpstreamError({ kind: 'pool_exhausted', key, waiting: waiting.size });
    }
    const waiter: Waiter<Checkout> = createWaiter<Checkout>({
      clock,
      timeout,
      signal,
      left() {
        detach(waiter);
        plan();
      },
    });
    waiting.set(waiter, undefined);
    shared.waiting += 1;
    unassigned.add(waiter);
    plan();
    return waiter.promise;
  };

  return {
    checkout,
    async keep(count, { timeout = settings.checkoutTimeout, signal }) {
      if (!Number.isSafeInteger(count) || count < 0 || count > limit || single) {
        throw new UpstreamError({ kind: 'invalid_option', option: 'minimum of connections', value: count });
      }
      const refused = refusal(signal);
      if (refused) throw new UpstreamError(refused);
      minimum = count;
      if (members.size >= count) return;
      const waiter: Waiter<void> = createWaiter<void>({
        clock,
        timeout,
        signal,
        left: () => keepers.delete(keeper),
      });
      const keeper = { count, waiter };
      keepers.add(keeper);
      plan();
      await waiter.promise;
    },
    stats() {
      let streams = 0;
      for (const owner of members.keys()) streams += owner.streams;
      for (const owner of leaving) streams += owner.streams;
      return {
        key,
        connections: members.size,
        draining: leaving.size,
        streams,
        waiting: waiting.size,
        dialing: dials.size,
        dials: dialCount,
        failures,
        hits,
      };
    },
    get forgettable() {
      const empty = members.size === 0 && leaving.size === 0 && dials.size === 0;
      return empty && waiting.size === 0 && minimum === 0;
    },
    async close() {
      closed = true;
      minimum = 0;
      clock.clearTimeout(retryTimer);
      budget.forget(user);
      const error = new UpstreamError({ kind: 'stopped', detail: 'the pool is closed' });
      for (const waiter of [...waiting.keys()]) {
        detach(waiter);
        waiter.reject(error);
      }
      for (const keeper of keepers) keeper.waiter.reject(error);
      keepers.clear();
      const ending = [...dials].map((dial) => dial.over);
      for (const dial of dials) dial.cancel.abort();
      await Promise.all([...ending, ...[...members.keys(), ...leaving].map((owner) => owner.stop())]);
    },
  };
}
