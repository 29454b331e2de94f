/** The figures of one key. */
export interface KeyStats {
  /** The fingerprint; the key `others` has the totals of keys that were long unused and forgotten. */
  readonly key: string;
  /** Connections that take new streams. */
  readonly connections: number;
  /** Connections that finish their streams and then end. */
  readonly draining: number;
  /** Streams on all of them. */
  readonly streams: number;
  /** Checkouts that wait. */
  readonly waiting: number;
  /** Dials under way. */
  readonly dialing: number;
  /** Dials begun, and those that failed (not those that nobody wanted any more). */
  readonly dials: number;
  readonly failures: number;
  /** Checkouts that an existing connection served at once. */
  readonly hits: number;
}

/** One figure for a metrics page. */
export interface PoolMetric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly labels: { readonly key: string };
  readonly value: number;
}

const described = [
  ['connections', 'gauge', 'connections', 'Upstream connections that take new streams.'],
  ['draining', 'gauge', 'draining_connections', 'Upstream connections that only finish their streams.'],
  ['streams', 'gauge', 'streams', 'Streams on upstream connections.'],
  ['waiting', 'gauge', 'waiting_checkouts', 'Tunnels that wait for an upstream connection.'],
  ['dialing', 'gauge', 'dials_under_way', 'Upstream connections being opened.'],
  ['dials', 'counter', 'dials_total', 'Upstream connections that were begun.'],
  ['failures', 'counter', 'dial_failures_total', 'Upstream connections that failed to open.'],
  ['hits', 'counter', 'hits_total', 'Tunnels that found an upstream connection at once.'],
] as const;

/** The same numbers as metrics. */
export function poolMetrics(stats: readonly KeyStats[]): PoolMetric[] {
  return described.flatMap(([field, type, name, help]) =>
    stats.map((one) => ({
      name: `bauta_upstream_${name}`,
      type,
      help,
      labels: { key: one.key },
      value: one[field],
    })),
  );
}
