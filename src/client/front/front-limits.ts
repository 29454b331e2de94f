/** How much a front-end lets apps use. Times are milliseconds. */
export interface FrontLimits {
  /** Connections of apps at once; one above it is reset. */
  readonly connections: number;
  /** From an app's connection to its whole request. */
  readonly requestTimeout: number;
  /** From the answer to an HTTP request to the whole of the next. */
  readonly keepAliveTimeout: number;
  /** Bytes of an HTTP request head. */
  readonly headSize: number;
  /** Until the tunnel is open; within it a lost connection to the proxy may come back. */
  readonly openTimeout: number;
  /** Without a byte in either direction, after which a TCP tunnel is reset. */
  readonly tcpIdleTimeout: number;
  /** SOCKS5 UDP associations at once. */
  readonly associations: number;
  /** Targets at once within one association. */
  readonly associationTargets: number;
  /** Without a datagram, after which the tunnel to a target is ended. */
  readonly udpIdleTimeout: number;
}

/** RFC 5382 section 5 wants idle TCP connections kept for two hours and four minutes at least. */
export const defaultFrontLimits: FrontLimits = {
  connections: 1_024,
  requestTimeout: 10_000,
  keepAliveTimeout: 60_000,
  headSize: 32_768,
  openTimeout: 15_000,
  tcpIdleTimeout: 2 * 3_600_000 + 600_000,
  associations: 256,
  associationTargets: 256,
  udpIdleTimeout: 150_000,
};
