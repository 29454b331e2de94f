import type { DatagramStreamHandler } from '../../http/datagram-stream.js';
import type { StreamOutcome } from '../../http/tunnel-stream.js';
import type { UdpProblem } from '../../quic/udp-socket.js';
import type { SideEnd } from '../side-end.js';
import type { UdpFarHandler, UdpFarSide } from './far-side.js';
import type { ServedUdp } from './serve-udp.js';

/** Brings the events of the client's datagrams. */
export class NearEvents implements DatagramStreamHandler {
  constructor(private readonly tunnel: ServedUdp) {}

  datagram(bytes: Uint8Array, start: number, end: number): void {
    this.tunnel.datagramCame(bytes, start, end);
  }

  otherCapsules(): number {
    return this.tunnel.mostOfCapsule();
  }

  capsule(type: number, value: Uint8Array): void {
    this.tunnel.capsuleCame(type, value);
  }

  drain(): void {
    this.tunnel.drained();
  }

  end(): void {
    this.tunnel.clientEnded();
  }

  closed(outcome: StreamOutcome): void {
    this.tunnel.streamClosed(outcome);
  }
}

/** Brings the events of the target's socket, or of the next hop. */
export class FarEvents implements UdpFarHandler {
  constructor(private readonly tunnel: ServedUdp) {}

  packet(bytes: Uint8Array, start: number, end: number): void {
    this.tunnel.packetCame(bytes, start, end);
  }

  problem(problem: UdpProblem, errno: string): void {
    this.tunnel.problem(problem, errno);
  }

  early(opening: UdpFarSide): void {
    this.tunnel.opening(opening);
  }

  noPayload(): void {
    this.tunnel.noPayload();
  }

  capsule(type: number, value: Uint8Array): boolean {
    return this.tunnel.farCapsule(type, value);
  }

  drain(): void {
    this.tunnel.farDrained();
  }

  over(how: SideEnd): void {
    this.tunnel.farOver(how);
  }
}
