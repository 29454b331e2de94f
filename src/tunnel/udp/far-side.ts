import type { DatagramEnd } from '../../http/tunnel-stream.js';
import type { DatagramOutcome } from '../../quic/connection.js';
import type { UdpSocket, UdpSocketHandler } from '../../quic/udp-socket.js';
import type { SideEnd } from '../side-end.js';

/** Where a served tunnel's payloads go: a socket, or a tunnel to the next hop. */
export interface UdpFarSide {
  /** What payloads may be spliced with, where the far side is just that and can be now. */
  spliceEnd?(): UdpSocket | DatagramEnd | undefined;
  /** Takes one UDP payload, copied before this returns. */
  send(bytes: Uint8Array, start: number, end: number): DatagramOutcome;
  /**
   * Takes a capsule of a type that is unknown here; false asks for no more until `UdpFarHandler.drain`. Absent
   * where capsules have nowhere to go.
   */
  capsule?(type: number, value: Uint8Array): boolean;
  /** The client takes capsules again, after `UdpFarHandler.capsule` gave false. */
  drain?(): void;
  /** The client has its answer: payloads for it may come from now on. */
  start?(): void;
  /** The client's side is over. Nothing is told afterwards. Idempotent. */
  close(how: SideEnd): void;
}

/** What a far side tells; a socket only knows packets and problems. */
export interface UdpFarHandler extends UdpSocketHandler {
  /** Payloads may be sent although the far side has not answered yet (RFC 9298 section 3). */
  early(far: UdpFarSide): void;
  /** A datagram that holds no payload was dropped (RFC 9298 section 4). */
  noPayload(): void;
  /** A capsule of a type that is unknown here; false asks for no more until `UdpFarSide.drain`. */
  capsule(type: number, value: Uint8Array): boolean;
  /** The far side takes capsules again. */
  drain(): void;
  /** The far side is over, after it was open. */
  over(how: SideEnd): void;
}

/**
 * RFC 9297 section 3.2: an intermediary should forward capsules of unknown types as they are. Whole ones up to
 * this many bytes are; longer ones are skipped, as an endpoint would do.
 */
export const MOST_FORWARDED_CAPSULE = 16_384;
