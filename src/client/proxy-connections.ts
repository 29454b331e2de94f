import { setMaxListeners } from 'node:events';
import type { Clock, RandomBytes, Timer } from '../clock/clock.js';
import { BautaError } from '../protocol/bauta-error.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import type { Checkout } from '../upstream/checkout.js';
import type { Owner } from '../upstream/owner.js';
import { createPool } from '../upstream/pool.js';
import type { PoolEvent } from '../upstream/pool-settings.js';
import { createRacer, type RaceWin } from '../upstream/racer.js';
import type { UpstreamOrigin } from '../upstream/target.js';
import type { TransportDriver } from '../upstream/transport.js';
import type { TunnelNeeds } from '../upstream/tunnel-needs.js';
import { UpstreamError, type UpstreamFailure } from '../upstream/upstream-error.js';
import { createBackoff } from './backoff.js';
import { dialError } from './dial-failure.js';
import { byPreference, noVersionLeft, type VersionAttempt, versionAttempts } from './version-attempts.js';

/** What a client hears of its connections. */
export type ConnectionsEvent =
  | { readonly type: 'attempt'; readonly version: HttpVersion }
  | { readonly type: 'attempt-failed'; readonly version: HttpVersion; readonly error: BautaError }
  /** The choice is new, or made for another reason than before. */
  | {
      readonly type: 'chosen';
      readonly version: HttpVersion;
      readonly attempts: readonly VersionAttempt[];
    }
  | { readonly type: 'up'; readonly owner: Owner }
  | { readonly type: 'down'; readonly owner: Owner; readonly detail: string }
  /** No connection is left and an attempt failed; the next begins after `wait` milliseconds. */
  | { readonly type: 'retry'; readonly error: BautaError; readonly wait: number };

export interface ProxyConnectionsOptions {
  readonly driver: TransportDriver;
  readonly origin: UpstreamOrigin;
  readonly versions: readonly HttpVersion[];
  readonly maxConnections: number;
  /** Connections without extended CONNECT are of use too; `only` where no other tunnel is asked for. */
  readonly classicConnect?: 'no' | 'also' | 'only';
  /** Milliseconds until a connection must be up. */
  readonly timeout: number;
  readonly clock: Clock;
  /** Numbers from 0 up to 1. */
  readonly random: () => number;
  readonly randomBytes: RandomBytes;
  readonly event: (event: ConnectionsEvent) => void;
}

/** The connections to one proxy: found by racer and pool, and opened again when the last one is lost. */
export interface ProxyConnections {
  readonly owners: ReadonlySet<Owner>;
  /** True while no connection is left and attempts go on. */
  readonly retrying: boolean;
  /** Resolves once a connection is up; from then on one is kept. Rejects with each version's reason. */
  start(signal: AbortSignal): Promise<Owner>;
  /**
   * A place for one stream, on a connection that can carry what is needed (default: extended CONNECT). While no
   * connection is left it waits for the next; when the signal ends that, it rejects with the reason of the last
   * attempt.
   */
  take(signal: AbortSignal, needs?: TunnelNeeds): Promise<Checkout>;
  /** Where a next attempt waits for its time, it begins now. */
  retryNow(): void;
  /**
   * What was learned on another network says nothing about this one: the next tunnel tries all versions, and
   * connections that give no sign of life are given up.
   */
  networkChanged(): void;
  close(): Promise<void>;
}

/** After a change of network a connection has this long to answer a PING, milliseconds. */
const PATIENCE = 3_000;

const EXTENDED: TunnelNeeds = { extendedConnect: true, datagrams: false };
const CLASSIC: TunnelNeeds = { extendedConnect: false, datagrams: false };

interface Choice {
  readonly version: HttpVersion;
  readonly reasons: string;
}

/** Waits for the promise, no longer than the signal lets. */
function until<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(new BautaError('ERR_ABORTED', { cause: signal.reason }));
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}

function detailOf(failure: UpstreamFailure): string {
  if (failure.kind === 'peer_closed') return failure.detail || failure.reason;
  if (failure.kind === 'stopped') return failure.detail || 'stopped';
  return new UpstreamError(failure).message;
}

/** Some connection came up, and lacks extended CONNECT. */
function lacksExtended(error: unknown): boolean {
  if (!(error instanceof BautaError)) return false;
  if (error.code === 'ERR_VERSION_UNSUPPORTED') return true;
  return error.cause instanceof AggregateError && error.cause.errors.some(lacksExtended);
}

/** Nobody was reached, which may pass. */
function isAway(error: unknown): boolean {
  if (!(error instanceof BautaError)) return false;
  const { code } = error;
  return code === 'ERR_PROXY_UNREACHABLE' || code === 'ERR_PROXY_TIMEOUT' || code === 'ERR_CONNECTION_LOST';
}

/** The winner, and why the others failed. */
function reasonsOf(attempts: readonly VersionAttempt[]): string {
  return attempts
    .map((attempt) => (attempt.outcome === 'failed' ? attempt.error.code : attempt.outcome === 'won'))
    .join();
}

export function createProxyConnections(options: ProxyConnectionsOptions): ProxyConnections {
  const { clock, origin, maxConnections, classicConnect = 'no' } = options;
  const versions = byPreference(options.versions);
  const owners = new Set<Owner>();
  const over = new AbortController();
  setMaxListeners(0, over.signal);
  const backoff = createBackoff(options.random);
  /** By whether extended CONNECT is needed. */
  const chosen = new Map<boolean, Choice>();
  let told: string | undefined;
  /** The connection of HTTP/1.1 that came up without a tunnel; the next one gets it. */
  let spare: Checkout | undefined;
  let started = false;
  let retrying = false;
  let retryTimer: Timer | undefined;
  let lastError: BautaError | undefined;
  let wakeWaiters: () => void = () => undefined;
  let changed = new Promise<void>((resolve) => {
    wakeWaiters = resolve;
  });
  const wake = (): void => {
    wakeWaiters();
    changed = new Promise<void>((resolve) => {
      wakeWaiters = resolve;
    });
  };

  const poolEvent = (event: PoolEvent): void => {
    switch (event.type) {
      case 'dial': {
        const version = versions.find((one) => pool.fingerprint({ ...origin, version: one }) === event.key);
        if (version) options.event({ type: 'attempt', version });
        break;
      }
      case 'up':
        // One that cannot carry a tunnel is closed again by the race.
        if (!event.owner.settings.extendedConnect && classicConnect === 'no') break;
        owners.add(event.owner);
        options.event({ type: 'up', owner: event.owner });
        connected();
        break;
      case 'down':
        if (!owners.delete(event.owner) || over.signal.aborted) break;
        options.event({ type: 'down', owner: event.owner, detail: detailOf(event.failure) });
        // HTTP/1.1 spends one connection on each tunnel: the next is opened when it is wanted.
        if (owners.size === 0 && event.owner.version !== 'h1') retry();
        break;
      default:
        break;
    }
  };
  const pool = createPool({
    driver: options.driver,
    clock,
    random: options.random,
    randomBytes: options.randomBytes,
    maxConnectionsPerKey: maxConnections,
    maxSingleUsePerKey: maxConnections,
    // A race dials one of each version, whatever there is.
    maxConnections: maxConnections + versions.length - 1,
    maxWaitingPerKey: 8_192,
    // The driver's own limit is the handshake of one address; those of a name begin one after the other.
    dialTimeout: options.timeout + 1_000,
    // A connection is kept for the next tunnel, and how often to try is said here.
    idleTimeout: 0,
    backoff: { first: 0, longest: 0 },
    events: poolEvent,
  });
  const racer = createRacer({
    pool,
    clock,
    failed: (_, version, error) =>
      options.event({ type: 'attempt-failed', version, error: dialError(error) }),
  });

  const race = async (
    tried: readonly HttpVersion[],
    needs: TunnelNeeds,
    signal: AbortSignal,
  ): Promise<RaceWin> => {
    try {
      return await racer.checkout(origin, needs, {
        versions: tried,
        timeout: Infinity,
        signal,
        keepUnsuitable: classicConnect !== 'no',
      });
    } catch (error) {
      if (over.signal.aborted) throw new BautaError('ERR_CLOSED');
      if (error instanceof UpstreamError && error.failure.kind === 'all_failed') {
        throw noVersionLeft(tried, error.failure.attempts);
      }
      throw dialError(error);
    }
  };
  /** The version to use while what was learned of those before it holds. */
  const known = (needs: TunnelNeeds): HttpVersion | undefined => {
    const version = chosen.get(needs.extendedConnect)?.version;
    if (version === undefined) return undefined;
    const failed = racer.remembered(origin, needs).failures.map((failure) => failure.version);
    const better = versions.slice(0, versions.indexOf(version));
    return better.every((one) => failed.includes(one)) ? version : undefined;
  };
  /** HTTP/2 without extended CONNECT carries many classic tunnels, HTTP/1.1 one on each connection. */
  const nothingBetterThanH1 = (needs: TunnelNeeds): boolean => {
    if (needs.extendedConnect) return true;
    const failed = racer.remembered(origin, needs).failures.map((failure) => failure.version);
    return versions.every((version) => version === 'h1' || failed.includes(version));
  };
  const settle = (win: RaceWin, needs: TunnelNeeds): Checkout => {
    const { version, checkout } = win;
    const attempts = versionAttempts(versions, win.attempts, racer.remembered(origin, needs).failures);
    const reasons = reasonsOf(attempts);
    const before = chosen.get(needs.extendedConnect)?.reasons;
    if (before !== reasons && told !== reasons) {
      told = reasons;
      options.event({ type: 'chosen', version, attempts });
    }
    chosen.set(needs.extendedConnect, { version, reasons });
    // A better version works again: the others carry what they have, and no more.
    if (checkout.owner.settings.extendedConnect) {
      for (const owner of owners) {
        if (versions.indexOf(owner.version) > versions.indexOf(version)) owner.drain();
      }
    }
    return checkout;
  };
  const open = async (signal: AbortSignal, needs: TunnelNeeds): Promise<Checkout> => {
    const version = known(needs);
    if (version !== undefined) {
      try {
        return settle(await race([version], needs, signal), needs);
      } catch (error) {
        if (signal.aborted || over.signal.aborted || versions.length === 1) throw error;
        chosen.delete(needs.extendedConnect);
        told = undefined;
      }
    }
    return settle(await race(versions, needs, signal), needs);
  };
  /** A first connection: one that carries every tunnel, else one that carries some. */
  const openFirst = async (signal: AbortSignal): Promise<Checkout> => {
    if (classicConnect === 'only') return open(signal, CLASSIC);
    try {
      return await open(signal, EXTENDED);
    } catch (error) {
      if (classicConnect === 'no' || signal.aborted || !lacksExtended(error)) throw error;
      return open(signal, CLASSIC);
    }
  };
  /** The connection stays without the place that was taken on it. */
  const leave = (checkout: Checkout): void => {
    if (checkout.owner.version === 'h1') spare = checkout;
    else checkout.cancel();
  };

  const connected = (): void => {
    retrying = false;
    lastError = undefined;
    backoff.reset();
    clock.clearTimeout(retryTimer);
    retryTimer = undefined;
    wake();
  };
  const attempt = (): void => {
    retryTimer = undefined;
    openFirst(over.signal).then(
      (checkout) => {
        leave(checkout);
        connected();
      },
      (thrown: unknown) => {
        if (over.signal.aborted || !retrying) return;
        lastError = dialError(thrown);
        const wait = backoff.next();
        options.event({ type: 'retry', error: lastError, wait });
        retryTimer = clock.setTimeout(attempt, wait);
      },
    );
  };
  const forget = (): void => {
    chosen.clear();
    told = undefined;
  };
  const retry = (): void => {
    if (!started || retrying || over.signal.aborted) return;
    retrying = true;
    forget();
    // The network may be another one.
    racer.networkChanged();
    // The first attempt waits too: a proxy that closed everything is often just starting again.
    retryTimer = clock.setTimeout(attempt, backoff.next());
  };
  const retryNow = (): void => {
    if (!retryTimer) return;
    clock.clearTimeout(retryTimer);
    backoff.reset();
    attempt();
  };
  const giveUpSilent = (owner: Owner): void => {
    if (owner.version === 'h1') return;
    const patience = new AbortController();
    const timer = clock.setTimeout(() => patience.abort(), PATIENCE);
    timer.unref();
    owner.connection.ping(patience.signal).then(
      () => clock.clearTimeout(timer),
      () => {
        clock.clearTimeout(timer);
        void owner.stop({ kind: 'unresponsive', after: PATIENCE });
      },
    );
  };
  /** A connection that takes more tunnels. */
  const hasPlaces = (): boolean =>
    [...owners].some((owner) => owner.version !== 'h1' && owner.state === 'open');
  const checkRoom = (needs: TunnelNeeds): void => {
    if (known(needs) !== 'h1') return;
    const used = pool.stats().reduce((sum, key) => sum + key.connections + key.draining + key.dialing, 0);
    if (used >= maxConnections) throw new BautaError('ERR_TOO_MANY', { detail: `${used} connections` });
  };

  return {
    owners,
    get retrying() {
      return retrying;
    },
    async start(signal) {
      const checkout = await openFirst(signal);
      const { owner } = checkout;
      leave(checkout);
      started = true;
      if (owners.size === 0 && owner.version !== 'h1') retry();
      return owner;
    },
    async take(signal, needs = EXTENDED) {
      while (!over.signal.aborted) {
        if (retrying) {
          await until(changed, signal).catch((error: unknown) => {
            throw lastError ?? error;
          });
          continue;
        }
        if (spare && nothingBetterThanH1(needs)) {
          const left = spare;
          spare = undefined;
          if (left.owner.state === 'open') return left;
        }
        checkRoom(needs);
        try {
          return await open(signal, needs);
        } catch (error) {
          // The proxy is away, and what is left of it ends (it drains, say): the tunnel waits for it as others do.
          if (!started || signal.aborted || !isAway(error) || hasPlaces()) throw error;
          lastError = dialError(error);
          retry();
        }
      }
      throw new BautaError('ERR_CLOSED');
    },
    retryNow,
    networkChanged() {
      racer.networkChanged();
      forget();
      for (const owner of owners) giveUpSilent(owner);
      retryNow();
    },
    async close() {
      over.abort();
      clock.clearTimeout(retryTimer);
      retryTimer = undefined;
      wake();
      await pool.closeAll();
    },
  };
}
