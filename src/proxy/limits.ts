import { BautaError } from '../protocol/bauta-error.js';
import { TCP_HALF_CLOSED_TIMEOUT, TCP_IDLE_TIMEOUT } from '../tunnel/tcp/serve-tcp.js';

export { addressKey } from '../protocol/address-key.js';

/** How much of the proxy one connection, user or address may use, and all together. */
export interface ProxyLimits {
  /**
   * Connections in all, and from one address (an IPv6 /64 counts as one). When all are taken, one without valid
   * credentials makes room for the next.
   */
  readonly connections: number;
  readonly connectionsPerAddress: number;
  /** Tunnels in all, of one user, from one address, on one connection. */
  readonly tunnels: number;
  readonly tunnelsPerUser: number;
  readonly tunnelsPerAddress: number;
  readonly tunnelsPerConnection: number;
  /** Milliseconds without a payload after which a UDP tunnel ends; RFC 9298 section 3.1 advises 120,000 at least. */
  readonly udpIdleTimeout: number;
  /** Milliseconds without a byte after which a TCP tunnel ends; RFC 5382 section 5 wants 7,440,000 at least. */
  readonly tcpIdleTimeout: number;
  /** The same once one direction has ended. */
  readonly tcpHalfClosedTimeout: number;
  /** Milliseconds for connecting to a target over TCP, all its addresses together. */
  readonly connectTimeout: number;
  /** Milliseconds from the request to the answer. */
  readonly openTimeout: number;
  /** Milliseconds for looking up a name. */
  readonly nameTimeout: number;
  /** Milliseconds after which a connection without valid credentials is closed. */
  readonly strangerTimeout: number;
}

export const defaultLimits: ProxyLimits = {
  connections: 20_000,
  connectionsPerAddress: 2_000,
  tunnels: 200_000,
  tunnelsPerUser: 100_000,
  tunnelsPerAddress: 100_000,
  tunnelsPerConnection: 1_024,
  udpIdleTimeout: 180_000,
  tcpIdleTimeout: TCP_IDLE_TIMEOUT,
  tcpHalfClosedTimeout: TCP_HALF_CLOSED_TIMEOUT,
  connectTimeout: 10_000,
  openTimeout: 20_000,
  nameTimeout: 5_000,
  strangerTimeout: 20_000,
};

/** The defaults with what is set instead; throws `BautaError` ERR_USAGE for a limit that is no positive number. */
export function proxyLimits(changes: Partial<ProxyLimits> = {}): ProxyLimits {
  for (const [name, value] of Object.entries(changes)) {
    if (!(name in defaultLimits)) throw new BautaError('ERR_USAGE', { detail: `no limit is called ${name}` });
    if (typeof value !== 'number' || !(value > 0)) {
      throw new BautaError('ERR_USAGE', { detail: `the limit ${name} is not a positive number` });
    }
  }
  return { ...defaultLimits, ...changes };
}

/** Which limit stands in the way. */
export type LimitReached = 'total' | 'user' | 'address' | 'connection';

/** Counts what is used under a key; forgets keys that use nothing. */
export interface Usage {
  count(key: string): number;
  add(key: string): void;
  remove(key: string): void;
}

export function createUsage(): Usage {
  const counts = new Map<string, number>();
  return {
    count: (key) => counts.get(key) ?? 0,
    add(key) {
      counts.set(key, (counts.get(key) ?? 0) + 1);
    },
    remove(key) {
      const left = (counts.get(key) ?? 1) - 1;
      if (left > 0) counts.set(key, left);
      else counts.delete(key);
    },
  };
}
