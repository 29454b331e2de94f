import type { SocketAddress } from './address.js';

/** Why a UDP socket failed or one of its packets was refused. */
export type UdpProblem =
  | 'refused' // ICMP port unreachable
  | 'host-unreachable'
  | 'network-unreachable'
  | 'too-large' // EMSGSIZE: DF is set
  | 'no-ports' // EADDRINUSE, EADDRNOTAVAIL: no local port is left
  | 'no-descriptors' // EMFILE, ENFILE
  | 'no-memory'
  | 'denied' // EACCES, EPERM
  | 'other';

export interface UdpSocketOptions {
  /** The peer of a connected socket: the kernel drops packets from anybody else. */
  readonly remote?: SocketAddress;
  /** Where to bind; any address and port 0 by default. */
  readonly local?: SocketAddress;
  /** Bytes of kernel buffer to ask for, each way. */
  readonly bufferSize?: number;
  /**
   * `for-others`: sockets of single peers can be opened at its port, beside it. `of-another`: this is one, with that
   * peer as `remote` and the other's address as `local`; the packets of the peer come to it instead. Where the system has
   * no such thing, opening it fails.
   */
  readonly port?: 'for-others' | 'of-another';
}

export interface UdpSocketStatistics {
  readonly packetsSent: number;
  readonly packetsReceived: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly droppedSending: number;
  readonly droppedReceiving: number;
}

/** Counters of a socket that has neither sent nor received. */
export function zeroUdpSocketStatistics(): { -readonly [Name in keyof UdpSocketStatistics]: number } {
  return {
    packetsSent: 0,
    packetsReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
    droppedSending: 0,
    droppedReceiving: 0,
  };
}

/** A UDP socket: DF set, not-ECT, batched system calls where the machine has them. */
export interface UdpSocket {
  readonly localAddress: SocketAddress;
  /** Queues one packet (copied before this returns); `to` only on a socket without a `remote`. */
  send(bytes: Uint8Array, start: number, end: number, to?: SocketAddress): 'sent' | 'dropped';
  /** Once it is closed, as they were when they were last asked for. */
  statistics(): UdpSocketStatistics;
  /** Closes; nothing is delivered afterwards. Idempotent. */
  close(): void;
}

export interface UdpSocketHandler {
  /** One packet; the view is valid only during the call. `from` is set on a socket without a `remote`. */
  packet(bytes: Uint8Array, start: number, end: number, from: SocketAddress | undefined): void;
  /** An error of one packet or of the path (an ICMP error, say); the socket stays open. */
  problem(problem: UdpProblem, errno: string): void;
}

/** Opens sockets. The engine is the real one; `node:dgram` stands behind the same face in tests. */
export interface UdpSockets {
  /** Rejects with `UdpOpenError`. */
  open(options: UdpSocketOptions, handler: UdpSocketHandler): Promise<UdpSocket>;
}

export class UdpOpenError extends Error {
  override readonly name = 'UdpOpenError';
  constructor(
    readonly problem: UdpProblem,
    readonly errno: string,
  ) {
    super(`cannot open a UDP socket: ${errno}`);
  }
}
