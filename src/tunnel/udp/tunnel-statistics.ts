import type { DatagramOutcome } from '../../quic/connection.js';
import type { DatagramSpliceStatistics } from '../../quic/datagram-splice.js';

/**
 * Counters of a UDP tunnel, of either side. "Out" is into the tunnel towards the peer,
 * "in" is out of the tunnel towards whoever holds this end.
 */
export interface UdpTunnelStatistics {
  readonly payloadsOut: number;
  readonly bytesOut: number;
  readonly payloadsIn: number;
  readonly bytesIn: number;
  /** Not sent to the peer: a queue was full. */
  readonly droppedOutQueueFull: number;
  /** Not sent to the peer: larger than a datagram can be now. */
  readonly droppedOutTooLarge: number;
  /** Not sent to the peer: what the next hop sent is no payload, as its context id is unknown or cut short. */
  readonly droppedOutNoPayload: number;
  /** Came in before the tunnel was ready, beyond what is kept. */
  readonly droppedInEarly: number;
  /** Came in with a context id that nobody registered (RFC 9298 section 4). */
  readonly droppedInUnknownContext: number;
  /** Came in too short to hold a context id. */
  readonly droppedInMalformed: number;
  /** Came in and the target's socket did not take it. */
  readonly droppedInSocket: number;
  /** Came in and was larger than the path to the target carries without fragments. */
  readonly droppedInTooLarge: number;
}

export type MutableUdpTunnelStatistics = { -readonly [K in keyof UdpTunnelStatistics]: number };

export function zeroUdpTunnelStatistics(): MutableUdpTunnelStatistics {
  return {
    payloadsOut: 0,
    bytesOut: 0,
    payloadsIn: 0,
    bytesIn: 0,
    droppedOutQueueFull: 0,
    droppedOutTooLarge: 0,
    droppedOutNoPayload: 0,
    droppedInEarly: 0,
    droppedInUnknownContext: 0,
    droppedInMalformed: 0,
    droppedInSocket: 0,
    droppedInTooLarge: 0,
  };
}

/** What JavaScript has carried and what a splice has moved. */
export function withSpliced(
  own: UdpTunnelStatistics,
  spliced: DatagramSpliceStatistics,
): UdpTunnelStatistics {
  return {
    ...own,
    payloadsOut: own.payloadsOut + spliced.payloadsOut,
    bytesOut: own.bytesOut + spliced.bytesOut,
    payloadsIn: own.payloadsIn + spliced.payloadsIn,
    bytesIn: own.bytesIn + spliced.bytesIn,
    droppedOutQueueFull: own.droppedOutQueueFull + spliced.droppedOutQueueFull,
    droppedOutTooLarge: own.droppedOutTooLarge + spliced.droppedOutTooLarge,
    droppedInUnknownContext: own.droppedInUnknownContext + spliced.droppedInUnknownContext,
    droppedInMalformed: own.droppedInMalformed + spliced.droppedInMalformed,
    droppedInSocket: own.droppedInSocket + spliced.droppedInSocket,
    droppedInTooLarge: own.droppedInTooLarge + spliced.droppedInTooLarge,
  };
}

/** Counts what became of a payload of `bytes` bytes handed to the peer's direction. */
export function countOut(
  counters: MutableUdpTunnelStatistics,
  outcome: DatagramOutcome,
  bytes: number,
): DatagramOutcome {
  if (outcome === 'sent') {
    counters.payloadsOut++;
    counters.bytesOut += bytes;
  } else if (outcome === 'dropped') {
    counters.droppedOutQueueFull++;
  } else {
    counters.droppedOutTooLarge++;
  }
  return outcome;
}
