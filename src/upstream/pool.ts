import type { RandomBytes } from '../clock/clock.js';
import type { RequestHead } from '../http/request.js';
import { Line } from '../tables/line.js';
import { checkMaxStreams } from './capacity.js';
import type { Checkout, CheckoutOptions } from './checkout.js';
import { createConnectionBudget } from './connection-budget.js';
import { createExpiryQueue } from './expiry-queue.js';
import { createFingerprint, type Fingerprint } from './fingerprint.js';
import { createKeyPool, type KeyPool, type SharedParts, type UnusedOwner } from './key-pool.js';
import { type PoolEvent, type PoolLimits, type PoolParts, poolSettings } from './pool-settings.js';
import { type KeyStats, type PoolMetric, poolMetrics } from './pool-stats.js';
import type { AcquiredStream, Session } from './session.js';
import type { UpstreamTarget } from './target.js';
import { UpstreamError } from './upstream-error.js';

export interface PoolOptions extends PoolParts, PoolLimits {
  /** For the key of the fingerprints. */
  readonly randomBytes: RandomBytes;
  readonly events?: (event: PoolEvent) => void;
}

/** Connections to next hops, found or opened as streams are asked for. */
export interface Pool {
  /** The key under which a target's connections are kept. */
  readonly fingerprint: Fingerprint;
  /**
   * A place for one stream on a connection to the target: on the least loaded one that has room, else on a new
   * one; HTTP/1.1 always gets a new one. Rejects with `timeout`, `aborted`, `pool_exhausted`, `stopped`, or
   * with the reason of the dial that it waited for.
   */
  checkout(target: UpstreamTarget, options?: CheckoutOptions): Promise<Checkout>;
  /** A checkout and its stream in one; the time and the signal are for both. */
  openStream(
    target: UpstreamTarget,
    head: RequestHead,
    session: Session,
    options?: CheckoutOptions,
  ): Promise<AcquiredStream>;
  /**
   * Opens connections until there are `count`, and from then on keeps as many; 0 ends that. Rejects with the
   * reason of a dial that fails, and goes on trying.
   */
  warmUp(target: UpstreamTarget, count: number, options?: CheckoutOptions): Promise<void>;
  stats(): KeyStats[];
  metrics(): PoolMetric[];
  /** Closes everything and ends every waiter with `stopped`. Resolves when it is done. Idempotent. */
  closeAll(): Promise<void>;
}

/** Throws `invalid_option`. */
export function createPool(options: PoolOptions): Pool {
  const settings = poolSettings(options, options);
  checkMaxStreams(options.maxStreams);
  const { clock } = settings;
  const fingerprint = createFingerprint(options.randomBytes(32));
  const keys = new Map<string, KeyPool>();
  const unused = new Line<UnusedOwner>();
  let forgotten: KeyStats | undefined;
  let closing: Promise<void> | undefined;

  const reclaim = (): boolean => {
    for (const { owner, mayExpire } of unused) {
      if (owner.load > 0 || !mayExpire()) continue;
      // Its key hears of it and takes it out.
      void owner.stop({ kind: 'stopped', detail: 'made room for another' });
      return true;
    }
    return false;
  };
  const shared: SharedParts = {
    settings,
    unused,
    budget: createConnectionBudget(settings.maxConnections, reclaim),
    expiry: createExpiryQueue<Checkout>(clock, settings.holdTimeout, (checkout) => checkout.cancel()),
    event: (event) => options.events?.(event),
    waiting: 0,
  };

  const forget = (key: string, pool: KeyPool): void => {
    const { dials, failures, hits } = pool.stats();
    keys.delete(key);
    forgotten = {
      key: 'others',
      connections: 0,
      draining: 0,
      streams: 0,
      waiting: 0,
      dialing: 0,
      dials: dials + (forgotten?.dials ?? 0),
      failures: failures + (forgotten?.failures ?? 0),
      hits: hits + (forgotten?.hits ?? 0),
    };
  };
  const makeRoom = (): void => {
    if (keys.size < settings.maxKeys) return;
    for (const [key, pool] of keys) {
      if (!pool.forgettable) continue;
      forget(key, pool);
      return;
    }
  };
  const poolOf = (target: UpstreamTarget): KeyPool => {
    if (closing) throw new UpstreamError({ kind: 'stopped', detail: 'the pool is closed' });
    const key = fingerprint(target);
    const known = keys.get(key);
    if (known) return known;
    makeRoom();
    const made = createKeyPool(key, target, shared);
    keys.set(key, made);
    return made;
  };
  const stats = (): KeyStats[] => {
    const all = [...keys.values()].map((pool) => pool.stats());
    return forgotten ? [...all, forgotten] : all;
  };

  return {
    fingerprint,
    async checkout(target, given = {}) {
      return poolOf(target).checkout(given, true);
    },
    async openStream(target, head, session, given = {}) {
      const { timeout = settings.checkoutTimeout } = given;
      const deadline = clock.now() + timeout;
      const checkout = await poolOf(target).checkout({ ...given, timeout }, true);
      return checkout.acquireStream(head, session, {
        ...given,
        timeout: Math.max(0, deadline - clock.now()),
      });
    },
    async warmUp(target, count, given = {}) {
      return poolOf(target).keep(count, given);
    },
    stats,
    metrics: () => poolMetrics(stats()),
    closeAll() {
      closing ??= Promise.all([...keys.values()].map((pool) => pool.close())).then(() =>
        shared.expiry.clear(),
      );
      return closing;
    },
  };
}
