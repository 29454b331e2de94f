/**
 * Counters of a TCP tunnel, of either side: payload bytes, without framing. "Out" is into the tunnel towards
 * the peer, "in" is out of the tunnel towards whoever holds this end.
 */
export interface TcpTunnelStatistics {
  readonly bytesOut: number;
  readonly bytesIn: number;
}

export type MutableTcpTunnelStatistics = { -readonly [K in keyof TcpTunnelStatistics]: number };
