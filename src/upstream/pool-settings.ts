import type { Clock } from '../clock/clock.js';
import type { BackoffTimes } from './backoff.js';
import type { MaxStreams } from './capacity.js';
import type { HealthCheckTimes } from './health-check.js';
import type { Owner } from './owner.js';
import type { TransportDriver } from './transport.js';
import { UpstreamError, type UpstreamFailure } from './upstream-error.js';

/** What happens in a pool; `key` is the fingerprint. */
export type PoolEvent =
  | { readonly type: 'dial'; readonly key: string }
  | { readonly type: 'dial-failed'; readonly key: string; readonly error: unknown }
  | { readonly type: 'up'; readonly key: string; readonly owner: Owner }
  | { readonly type: 'draining'; readonly key: string; readonly owner: Owner }
  | { readonly type: 'down'; readonly key: string; readonly owner: Owner; readonly failure: UpstreamFailure }
  /** A transport or a session threw where nobody waits for it. */
  | { readonly type: 'fault'; readonly key: string; readonly error: unknown };

/** Limits and times of a pool; times in milliseconds. */
export interface PoolLimits {
  /** Connections for each key; default 8. */
  readonly maxConnectionsPerKey?: number;
  /** HTTP/1.1: connections, and so tunnels, for each key; default 256. */
  readonly maxSingleUsePerKey?: number;
  /** Connections in all, HTTP/1.1 too; default 512. */
  readonly maxConnections?: number;
  /** Checkouts that wait, for each key and in all; defaults 1,024 and 8,192. */
  readonly maxWaitingPerKey?: number;
  readonly maxWaiting?: number;
  /** A checkout takes no longer, where it does not say; default 30,000. */
  readonly checkoutTimeout?: number;
  /** A place that is not used is given back after this; default 30,000. */
  readonly holdTimeout?: number;
  /** A dial takes no longer; default 10,000. */
  readonly dialTimeout?: number;
  /** Waits between dials that fail one after the other; default 500 and 30,000. */
  readonly backoff?: BackoffTimes;
  /** PINGs that find a dead path; default every 20,000 with 10,000 for the answer; `false` turns them off. */
  readonly healthCheck?: HealthCheckTimes | false;
  /** For each connection: see `OwnerOptions`. */
  readonly maxStreams?: MaxStreams;
  readonly idleTimeout?: number;
  readonly acquireTimeout?: number;
  readonly stopTimeout?: number;
  readonly drainLinger?: number;
  /** Keys whose figures are kept without connections; default 1,024. */
  readonly maxKeys?: number;
}

export interface PoolParts {
  readonly driver: TransportDriver;
  readonly clock: Clock;
  /** Numbers from 0 up to 1. */
  readonly random: () => number;
}

/** Everything a key needs to know, with the defaults filled in. */
export interface PoolSettings extends PoolParts {
  readonly maxConnectionsPerKey: number;
  readonly maxSingleUsePerKey: number;
  readonly maxConnections: number;
  readonly maxWaitingPerKey: number;
  readonly maxWaiting: number;
  readonly checkoutTimeout: number;
  readonly acquireTimeout: number;
  readonly holdTimeout: number;
  readonly maxKeys: number;
  readonly maxStreams: MaxStreams | undefined;
  readonly backoff: BackoffTimes;
  readonly healthCheck: HealthCheckTimes | false;
  /** Passed on to each dial. */
  readonly owner: {
    readonly dialTimeout?: number;
    readonly maxStreams?: MaxStreams;
    readonly idleTimeout?: number;
    readonly acquireTimeout?: number;
    readonly stopTimeout?: number;
    readonly drainLinger?: number;
  };
}

function count(option: string, value: number | undefined, byDefault: number): number {
  const given = value ?? byDefault;
  if (Number.isSafeInteger(given) && given > 0) return given;
  throw new UpstreamError({ kind: 'invalid_option', option, value });
}

/** Throws `invalid_option` for a limit that is no positive integer. */
export function poolSettings(parts: PoolParts, limits: PoolLimits): PoolSettings {
  const { dialTimeout, maxStreams, idleTimeout, acquireTimeout, stopTimeout, drainLinger } = limits;
  return {
    driver: parts.driver,
    clock: parts.clock,
    random: parts.random,
    maxConnectionsPerKey: count('maxConnectionsPerKey', limits.maxConnectionsPerKey, 8),
    maxSingleUsePerKey: count('maxSingleUsePerKey', limits.maxSingleUsePerKey, 256),
    maxConnections: count('maxConnections', limits.maxConnections, 512),
    maxWaitingPerKey: count('maxWaitingPerKey', limits.maxWaitingPerKey, 1_024),
    maxWaiting: count('maxWaiting', limits.maxWaiting, 8_192),
    maxKeys: count('maxKeys', limits.maxKeys, 1_024),
    checkoutTimeout: limits.checkoutTimeout ?? 30_000,
    acquireTimeout: acquireTimeout ?? 30_000,
    holdTimeout: limits.holdTimeout ?? 30_000,
    maxStreams,
    backoff: limits.backoff ?? { first: 500, longest: 30_000 },
    healthCheck: limits.healthCheck ?? { interval: 20_000, timeout: 10_000 },
    owner: {
      ...(dialTimeout === undefined ? {} : { dialTimeout }),
      ...(maxStreams === undefined ? {} : { maxStreams }),
      ...(idleTimeout === undefined ? {} : { idleTimeout }),
      ...(acquireTimeout === undefined ? {} : { acquireTimeout }),
      ...(stopTimeout === undefined ? {} : { stopTimeout }),
      ...(drainLinger === undefined ? {} : { drainLinger }),
    },
  };
}
