import type { DatagramOutcome } from '../../quic/connection.js';
import type { UdpSocket } from '../../quic/udp-socket.js';
import type { UdpFarSide } from './far-side.js';

/** A socket as the far side of a tunnel whose payloads may be spliced. A class because there are thousands. */
export class SocketFarSide implements UdpFarSide {
  constructor(private readonly socket: UdpSocket) {}

  send(bytes: Uint8Array, start: number, end: number): DatagramOutcome {
    return this.socket.send(bytes, start, end);
  }

  spliceEnd(): UdpSocket {
    return this.socket;
  }

  close(): void {
    this.socket.close();
  }
}
