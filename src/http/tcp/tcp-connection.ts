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

export function bindTcpConnection(): TcpConnectionBinding {
  let attached: TcpSocket | undefined;
  let holder: TcpSocketHandler | undefined;
  let credit = 0;
  let bytesReceived = 0;
  let peerEnd: 'clean' | 'truncated' | undefined;
  let over: TcpEnd | undefined;
  let ending = false;
  let hungUp = false;

  const socketOf = (): TcpSocket => {
    if (!attached) throw new Error('the connection has no socket yet');
    return attached;
  };
  const connection: TcpConnection = {
    get socket() {
      return socketOf();
    },
    get credit() {
      return credit;
    },
    get bytesReceived() {
      return bytesReceived;
    },
    get peerEnd() {
      return peerEnd;
    },
    get over() {
      return over;
    },
    get writable() {
      return !over && !ending;
    },
    onClosed: undefined,
    hold(next) {
      holder = next;
    },
    grant(bytes) {
      if (bytes <= 0 || over || peerEnd) return;
      credit += bytes;
      socketOf().grant(bytes);
    },
    end() {
      if (over || ending) return;
      ending = true;
      socketOf().end();
    },
    reset() {
      ending = true;
      socketOf().reset();
    },
    hangUp() {
      if (over || hungUp) return;
      hungUp = true;
      const socket = socketOf();
      // An end that is out already was a clean one; only a reset says more.
      if (ending || !socket.hangUp) socket.reset();
      else {
        ending = true;
        socket.hangUp();
      }
    },
  };
  return {
    connection,
    handler: {
      data(bytes, start, end) {
        credit -= end - start;
        bytesReceived += end - start;
        holder?.data(bytes, start, end);
      },
      end(truncated = false) {
        peerEnd = truncated ? 'truncated' : 'clean';
        holder?.end(truncated);
      },
      drain: () => holder?.drain(),
      closed(end) {
        over = end;
        connection.onClosed?.(end);
        holder?.closed(end);
      },
    },
    attach(socket) {
      attached = socket;
      return connection;
    },
  };
}
