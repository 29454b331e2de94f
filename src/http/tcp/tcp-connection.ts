import type { TcpEnd, TcpSocket, TcpSocketHandler } from '../../quic/tcp-socket.js';

/** A TCP connection whose bytes are for one holder after another: HTTP's parser, then a tunnel, or the parser again. */
export interface TcpConnection {
  readonly socket: TcpSocket;
  /** Granted and not used yet, bytes. */
  readonly credit: number;
  readonly bytesReceived: number;
  /** How the peer's direction ended, once it has. */
  readonly peerEnd: 'clean' | 'truncated' | undefined;
  /** How the connection ended, once it has. */
  readonly over: TcpEnd | undefined;
  /** False once it is over, or this side has ended or reset it. */
  readonly writable: boolean;
  /** Told of the end of the connection before its holder is. */
  onClosed: ((end: TcpEnd) => void) | undefined;
  /** From here on this one is told what the socket tells. */
  hold(holder: TcpSocketHandler): void;
  grant(bytes: number): void;
  /** The engine has taken back what was left of the credit. */
  revoked(): void;
  end(): void;
  reset(): void;
  /** Ends it in the middle of something: the peer must not take that for a clean end. */
  hangUp(): void;
}

export interface TcpConnectionBinding {
  readonly connection: TcpConnection;
  /** What the socket is to tell. */
  readonly handler: TcpSocketHandler;
  /** The socket is there; before it tells anything. */
  attach(socket: TcpSocket): TcpConnection;
}

/** A class because there are thousands. */
class BoundConnection implements TcpConnection {
  attached: TcpSocket | undefined;
  holder: TcpSocketHandler | undefined;
  credit = 0;
  bytesReceived = 0;
  peerEnd: 'clean' | 'truncated' | undefined;
  over: TcpEnd | undefined;
  onClosed: ((end: TcpEnd) => void) | undefined;
  private ending = false;
  private hungUp = false;

  get socket(): TcpSocket {
    if (!this.attached) throw new Error('the connection has no socket yet');
    return this.attached;
  }

  get writable(): boolean {
    return !this.over && !this.ending;
  }

  hold(holder: TcpSocketHandler): void {
    this.holder = holder;
  }

  grant(bytes: number): void {
    if (bytes <= 0 || this.over || this.peerEnd) return;
    this.credit += bytes;
    this.socket.grant(bytes);
  }

  revoked(): void {
    this.credit = 0;
  }

  end(): void {
    if (!this.writable) return;
    this.ending = true;
    this.socket.end();
  }

  reset(): void {
    this.ending = true;
    this.socket.reset();
  }

  hangUp(): void {
    if (this.over || this.hungUp) return;
    this.hungUp = true;
    const { socket } = this;
    // An end that is out already was a clean one; only a reset says more.
    if (this.ending || !socket.hangUp) socket.reset();
    else {
      this.ending = true;
      socket.hangUp();
    }
  }
}

export function bindTcpConnection(): TcpConnectionBinding {
  const connection = new BoundConnection();
  return {
    connection,
    handler: {
      data(bytes, start, end) {
        connection.credit -= end - start;
        connection.bytesReceived += end - start;
        connection.holder?.data(bytes, start, end);
      },
      end(truncated = false) {
        connection.peerEnd = truncated ? 'truncated' : 'clean';
        connection.holder?.end(truncated);
      },
      drain: () => connection.holder?.drain(),
      closed(end) {
        connection.over = end;
        connection.onClosed?.(end);
        connection.holder?.closed(end);
      },
    },
    attach(socket) {
      connection.attached = socket;
      return connection;
    },
  };
}
