import type { Clock } from '../clock/clock.js';
import type { RequestHead } from '../http/request.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import type { Checkout, CheckoutOptions } from './checkout.js';
import { LONGEST_TIMER } from './longest-timer.js';
import type { Pool } from './pool.js';
import { type AcquiredStream, HeldStream, type Session } from './session.js';
import { type Standing, staggeredRace } from './staggered-race.js';
import type { UpstreamOrigin, UpstreamTarget } from './target.js';
import { missingAbility, type TunnelNeeds } from './tunnel-needs.js';
import { failureKind, UpstreamError, type UpstreamFailureKind } from './upstream-error.js';
import { createVersionMemory, type RememberedFailure } from './version-memory.js';

/** What became of one version in one race; times in milliseconds. */
export type RaceAttempt =
  | { readonly version: HttpVersion; readonly outcome: 'won' }
  | { readonly version: HttpVersion; readonly outcome: 'failed'; readonly error: unknown }
  /** Another was up first; it had been tried for `after`. */
  | { readonly version: HttpVersion; readonly outcome: 'withdrawn'; readonly after: number }
  | { readonly version: HttpVersion; readonly outcome: 'not-tried' };

export interface RaceWin {
  readonly version: HttpVersion;
  readonly checkout: Checkout;
  /** In the order in which they were tried. */
  readonly attempts: readonly RaceAttempt[];
}

export interface RaceOptions extends CheckoutOptions {
  /** The versions to try; default all three. The order is always HTTP/3, HTTP/2, HTTP/1.1. */
  readonly versions?: readonly HttpVersion[];
  /** A connection that cannot carry what is needed stays for others; otherwise it is closed where it carries nothing. */
  readonly keepUnsuitable?: boolean;
}

export interface RacerOptions {
  readonly pool: Pool;
  readonly clock: Clock;
  /** Milliseconds that a version waits for the one before it; default 250, and 500 for HTTP/1.1. */
  readonly headStart?: Partial<Record<HttpVersion, number>>;
  /**
   * A version that failed while another won is tried last for this long, milliseconds; default 300,000. Then it
   * is tried once beside the one that works.
   */
  readonly memory?: number;
  /** A race takes no longer, where it does not say, milliseconds; default 30,000. */
  readonly timeout?: number;
  readonly started?: (origin: UpstreamOrigin, version: HttpVersion) => void;
  readonly failed?: (origin: UpstreamOrigin, version: HttpVersion, error: unknown) => void;
}

/** Chooses the HTTP version for an origin by trying them. */
export interface Racer {
  /**
   * A place on a connection of the first version that is up and can carry what is needed. Rejects with
   * `all_failed`, which has the reason of each version, or with `timeout` or `aborted`.
   */
  checkout(origin: UpstreamOrigin, needs: TunnelNeeds, options?: RaceOptions): Promise<RaceWin>;
  /** A race and its stream in one; the time and the signal are for both. */
  openStream(
    origin: UpstreamOrigin,
    needs: TunnelNeeds,
    head: RequestHead,
    session: Session,
    options?: RaceOptions,
  ): Promise<AcquiredStream & { readonly race: RaceWin }>;
  /** What is remembered of an origin, for tunnels with these needs; by default extended CONNECT. */
  remembered(
    origin: UpstreamOrigin,
    needs?: TunnelNeeds,
  ): {
    readonly winner: HttpVersion | undefined;
    readonly failures: readonly RememberedFailure[];
  };
  /** What was learned on another network says nothing about this one. */
  networkChanged(): void;
}

const preference: readonly HttpVersion[] = ['h3', 'h2', 'h1'];
const headStarts: Record<HttpVersion, number> = { h3: 250, h2: 250, h1: 500 };

/** A version that is tried again has this long, milliseconds. */
const PROBE_TIME = 10_000;

/** Failures that say nothing about the version. */
const passing: readonly (UpstreamFailureKind | undefined)[] = [
  'aborted',
  'pool_exhausted',
  'stopped',
  'stream_limit',
  'draining',
];

function attemptOf(version: HttpVersion, standing: Standing): RaceAttempt {
  switch (standing.kind) {
    case 'won':
      return { version, outcome: 'won' };
    case 'failed':
      return { version, outcome: 'failed', error: standing.error };
    case 'withdrawn':
      return { version, outcome: 'withdrawn', after: standing.after };
    case 'not-started':
      return { version, outcome: 'not-tried' };
  }
}

class RacedStream extends HeldStream {
  constructor(
    acquired: AcquiredStream,
    readonly race: RaceWin,
  ) {
    super(acquired.connection, acquired.stream, () => acquired.release());
  }
}

export function createRacer(options: RacerOptions): Racer {
  const { pool, clock } = options;
  const memory = createVersionMemory(clock, options.memory ?? 300_000);
  const targets = new WeakMap<UpstreamOrigin, Map<HttpVersion, UpstreamTarget>>();

  const targetOf = (origin: UpstreamOrigin, version: HttpVersion): UpstreamTarget => {
    const known = targets.get(origin) ?? new Map<HttpVersion, UpstreamTarget>();
    targets.set(origin, known);
    const target = known.get(version) ?? { ...origin, version };
    known.set(version, target);
    return target;
  };
  const nameOf = (origin: UpstreamOrigin, { extendedConnect }: TunnelNeeds): string =>
    `${pool.fingerprint(targetOf(origin, 'h3'))}${extendedConnect ? '' : ' without extended CONNECT'}`;
  /** What cannot be reached cannot be reached for any tunnel; what lacks an ability is of use for others. */
  const failed = (origin: UpstreamOrigin, needs: TunnelNeeds, version: HttpVersion, error: unknown): void => {
    memory.failed(nameOf(origin, needs), version, error);
    if (failureKind(error) === 'unsuitable') return;
    memory.failed(nameOf(origin, { ...needs, extendedConnect: !needs.extendedConnect }), version, error);
  };
  /** What carries the more demanding tunnels carries the others too. */
  const namesServed = (origin: UpstreamOrigin, needs: TunnelNeeds): string[] =>
    needs.extendedConnect
      ? [nameOf(origin, needs), nameOf(origin, { ...needs, extendedConnect: false })]
      : [nameOf(origin, needs)];

  /** Learns from a race that somebody won: where nobody did, the network is at fault. */
  const remember = (
    origin: UpstreamOrigin,
    needs: TunnelNeeds,
    winner: HttpVersion,
    attempts: readonly RaceAttempt[],
  ): void => {
    for (const name of namesServed(origin, needs)) memory.won(name, winner);
    for (const attempt of attempts) {
      const { version } = attempt;
      if (attempt.outcome === 'failed' && !passing.includes(failureKind(attempt.error))) {
        failed(origin, needs, version, attempt.error);
      }
      // It had its head start, and a version that comes later was up before it.
      const preferred = preference.indexOf(version) < preference.indexOf(winner);
      if (attempt.outcome === 'withdrawn' && preferred) {
        const { after } = attempt;
        failed(origin, needs, version, new UpstreamError({ kind: 'timeout', of: 'dial', after }));
      }
    }
  };

  /**
   * Tries a version whose time is over beside the one that works, so that no tunnel waits for it. A connection
   * that comes up stays for the next tunnel, within its idle time.
   */
  const probe = async (origin: UpstreamOrigin, version: HttpVersion, needs: TunnelNeeds): Promise<void> => {
    try {
      const place = await pool.checkout(targetOf(origin, version), { timeout: PROBE_TIME });
      const missing = missingAbility(place.owner, needs);
      if (!missing) {
        for (const name of namesServed(origin, needs)) memory.recovered(name, version);
        place.cancel();
        return;
      }
      place.discard();
      failed(origin, needs, version, new UpstreamError({ kind: 'unsuitable', version, missing }));
    } catch (error) {
      failed(origin, needs, version, error);
    }
  };

  const checkout = async (
    origin: UpstreamOrigin,
    needs: TunnelNeeds,
    { versions = preference, timeout = options.timeout ?? 30_000, signal, keepUnsuitable }: RaceOptions = {},
  ): Promise<RaceWin> => {
    const name = nameOf(origin, needs);
    const chosen = preference.filter((version) => versions.includes(version));
    const order = memory.order(name, chosen);
    if (order.length === 0) {
      throw new UpstreamError({ kind: 'invalid_option', option: 'versions', value: versions });
    }
    for (const version of memory.due(name, chosen)) void probe(origin, version, needs);
    const limit = new AbortController();
    const aborted = (): void => limit.abort();
    if (signal?.aborted) aborted();
    signal?.addEventListener('abort', aborted, { once: true });
    let late = false;
    const timer = clock.setTimeout(
      () => {
        late = true;
        limit.abort();
      },
      Math.min(timeout, LONGEST_TIMER),
    );
    const outcome = await staggeredRace<Checkout>(
      {
        clock,
        contenders: order.map((version) => ({
          delay: options.headStart?.[version] ?? headStarts[version],
          async start(withdrawn) {
            const won = await pool.checkout(targetOf(origin, version), { timeout, signal: withdrawn });
            const missing = missingAbility(won.owner, needs);
            if (!missing) return won;
            if (keepUnsuitable) won.cancel();
            else won.discard();
            throw new UpstreamError({ kind: 'unsuitable', version, missing });
          },
        })),
        discard: (loser) => loser.discard(),
        started: (index) => options.started?.(origin, order[index] ?? 'h3'),
        failed: (index, error) => options.failed?.(origin, order[index] ?? 'h3', error),
      },
      limit.signal,
    );
    clock.clearTimeout(timer);
    signal?.removeEventListener('abort', aborted);
    const attempts = order.map((version, index) =>
      attemptOf(version, outcome.standings[index] ?? { kind: 'not-started' }),
    );
    if (outcome.kind === 'won') {
      const { version } = outcome.value.owner;
      remember(origin, needs, version, attempts);
      return { version, checkout: outcome.value, attempts };
    }
    const failures = attempts.flatMap((attempt) =>
      attempt.outcome === 'failed' ? [{ version: attempt.version, error: attempt.error }] : [],
    );
    if (outcome.kind === 'failed') throw new UpstreamError({ kind: 'all_failed', attempts: failures });
    const cause = late ? failures[0]?.error : signal?.reason;
    throw new UpstreamError(
      late ? { kind: 'timeout', of: 'checkout', after: timeout } : { kind: 'aborted', of: 'checkout' },
      cause,
    );
  };

  return {
    checkout,
    async openStream(origin, needs, head, session, given = {}) {
      const { timeout = options.timeout ?? 30_000, signal } = given;
      const deadline = clock.now() + timeout;
      const race = await checkout(origin, needs, { ...given, timeout });
      const acquired = await race.checkout.acquireStream(head, session, {
        timeout: Math.max(0, deadline - clock.now()),
        ...(signal ? { signal } : {}),
      });
      return new RacedStream(acquired, race);
    },
    remembered(origin, needs = { extendedConnect: true, datagrams: false }) {
      const name = nameOf(origin, needs);
      return { winner: memory.winner(name), failures: memory.failures(name) };
    },
    networkChanged: () => memory.clear(),
  };
}
