import type { ResetReason } from '../protocol/reset-reason.js';
import type { DatagramOutcome } from '../quic/connection.js';
import type { DatagramSplice } from '../quic/datagram-splice.js';
import type { UdpSocket } from '../quic/udp-socket.js';
import type { DatagramEnd, StreamOutcome, TunnelStream, TunnelStreamHandler } from './tunnel-stream.js';

/** Counters of a datagram stream; drops by their reason. */
export interface DatagramStreamStatistics {
  readonly datagramsSent: number;
  readonly datagramsReceived: number;
  /** Newest first: too much already waits, or for too long. */
  readonly droppedCapsuleQueueFull: number;
  /** Refused by the QUIC datagram queue. */
  readonly droppedQueueFull: number;
  readonly droppedTooLarge: number;
  /** Sent when this side had ended, or the peer wanted no more. */
  readonly droppedEnded: number;
  /** Came before `start` and found its queue full. */
  readonly droppedEarly: number;
  readonly capsulesSkipped: number;
}

/**
 * HTTP datagrams and capsules over any tunnel stream (RFC 9297): QUIC DATAGRAM frames where the stream has
 * them, DATAGRAM capsules elsewhere; capsules are accepted everywhere.
 */
export interface DatagramStream {
  /** Largest HTTP datagram payload (context id included) that can be sent now. */
  readonly maxDatagramSize: number;
  /** Sends the HTTP datagram payload `head ++ body[start, end)`. */
  sendDatagram(head: Uint8Array, body: Uint8Array, start: number, end: number): DatagramOutcome;
  /**
   * As `TunnelStream.spliceDatagrams`, or as its `spliceCapsules`; what is moved so is not in the statistics of this
   * stream.
   */
  splice(far: UdpSocket | DatagramEnd): DatagramSplice | undefined;
  /** This side's stream for the splice of another, once it has been started. */
  datagramEnd(): DatagramEnd | undefined;
  /** Sends a capsule that is never dropped; false asks to wait for `drain`. */
  sendCapsule(type: number, value: Uint8Array): boolean;
  /** True reads no more than what may be on its way already, until false: the sender of capsules has to wait. */
  holdBack(held: boolean): void;
  end(): void;
  reset(reason: ResetReason): void;
  statistics(): DatagramStreamStatistics;
}

export interface DatagramStreamHandler {
  /** An HTTP datagram payload, however it travelled; the view is valid only during the call. */
  datagram(bytes: Uint8Array, start: number, end: number): void;
  /** Types wanted whole, with the most bytes each may have; all others are skipped without being kept. */
  readonly capsules?: ReadonlyMap<number, number>;
  /** Most bytes of a capsule of any other type that is wanted now; longer ones are skipped. */
  otherCapsules?(): number;
  /** A wanted capsule, whole; the value is the receiver's own. */
  capsule?(type: number, value: Uint8Array): void;
  /** The peer ended its side between two capsules. */
  end(): void;
  drain?(): void;
  maxDatagramSize?(size: number): void;
  closed(outcome: StreamOutcome): void;
}

/** A datagram stream and the handler by which it takes its tunnel stream's events. */
export interface DatagramStreamBinding {
  readonly datagrams: DatagramStream;
  /** Give this to the tunnel stream. */
  readonly streamHandler: TunnelStreamHandler;
  /** Tells which tunnel stream it is; call before any event of it. */
  attach(stream: TunnelStream): void;
  /** From here on content is read and parsed as capsules (client: a 2xx came; server: at once). */
  start(): void;
}

export interface DatagramStreamOptions {
  /** Content that may be on its way to this side, bytes; default 256 KiB. */
  readonly receiveWindow?: number;
  /** Bytes of capsules waiting from which DATAGRAM capsules are dropped; default 256 KiB. */
  readonly capsuleQueue?: number;
  /** Milliseconds that the oldest of them has waited from which they are dropped; default 250. */
  readonly capsuleDelay?: number;
  /** Monotonic milliseconds; that of the system by default. */
  readonly now?: () => number;
  /** Bytes of QUIC datagrams kept until `start`; default 64 KiB. */
  readonly earlyQueue?: number;
}
