import type { Duplex } from 'node:stream';

/** What carries a TLS connection: a `net.Socket`, or a stream that stands for one, such as a tunnel's. */
export interface Carrier extends Duplex {
  /** Bytes that came and were read from it. */
  readonly bytesRead: number;
  /** Cuts both directions off: the other end sees a reset. */
  resetAndDestroy(): unknown;
  /** Whether it keeps the process running. */
  ref(): unknown;
  unref(): unknown;
}
