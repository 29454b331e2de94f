import type { TcpSocket, TcpSocketHandler } from '../../quic/tcp-socket.js';
import type { ByteSide, ByteSideHandler } from './byte-side.js';

/** A class because there are thousands. */
class SocketSide implements ByteSide {
  constructor(readonly socket: TcpSocket) {}

  get buffered(): number {
    return this.socket.buffered;
  }

  grant(bytes: number): void {
    this.socket.grant(bytes);
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    return this.socket.write(bytes, start, end);
  }

  end(): void {
    this.socket.end();
  }

  reset(): void {
    this.socket.reset();
  }
}

/** A TCP connection as one side of a tunnel; every reset of it is an RST. */
export function socketSide(socket: TcpSocket): ByteSide {
  return new SocketSide(socket);
}

/** What the connection of a `socketSide` has to be given: tells `handler` what the socket tells. */
export function socketSideHandler(handler: ByteSideHandler): TcpSocketHandler {
  return {
    data: (bytes, start, end) => handler.data(bytes, start, end),
    end: () => handler.end(),
    drain: () => handler.drain(),
    // RFC 9114 section 4.4, RFC 9113 section 8.5: a TCP connection in error is a CONNECT_ERROR.
    closed: (end) => handler.closed(end.kind === 'ended' ? end : { kind: 'reset', reason: 'connect-error' }),
  };
}
