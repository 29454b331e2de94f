import type { Clock, Timer } from '../../clock/clock.js';
import { BautaError } from '../../protocol/bauta-error.js';
import type { SocketAddress } from '../../quic/address.js';
import type { TcpEnd, TcpSocket, TcpSocketHandler } from '../../quic/tcp-socket.js';
import { unmapped } from './unmapped.js';

/** The connection of an app to a front-end, read piece by piece until somebody takes it whole. */
export interface AppConnection {
  readonly socket: TcpSocket;
  readonly localAddress: SocketAddress;
  readonly remoteAddress: SocketAddress;
  /** Aborted when the connection is over. */
  readonly over: AbortSignal;
  /** What came and was not taken. */
  readonly unread: Uint8Array;
  /** Takes the first `count` bytes of it. */
  take(count: number): Uint8Array;
  /**
   * Resolves when more has come. Rejects with `ERR_CLOSED` when nothing more can come, with `ERR_TIMEOUT` when the
   * request took too long, with `ERR_REQUEST_MALFORMED` when `limit` bytes wait already.
   */
  more(limit: number): Promise<void>;
  write(bytes: Uint8Array): void;
  /** Starts the time limit of a request again, or ends it. */
  limitRequest(milliseconds: number | undefined): void;
  /**
   * Everything goes to `handler` from now on: what is unread first, or else what the handler before had taken
   * and not used.
   */
  handOver(handler: TcpSocketHandler, first?: Uint8Array): void;
  /** Ends it in order after the last write; what still comes is thrown away. */
  hangUp(): void;
}

/** What is read ahead of the decision what to do with it, bytes. */
const AHEAD = 4_096;
/** What is thrown away after the last answer, so that the answer is not lost with a reset, bytes. */
const DISCARDED = 65_536;
/** How long an app may take to close after the last answer, milliseconds. */
const LINGER = 2_000;

const ignore: TcpSocketHandler = {
  data: () => undefined,
  end: () => undefined,
  drain: () => undefined,
  closed: () => undefined,
};

/** An app's connection, and the handler that its socket is to be given. Nothing is read before `start`. */
export interface AppConnectionBinding {
  readonly connection: AppConnection;
  readonly handler: TcpSocketHandler;
  start(): void;
}

export function createAppConnection(socket: TcpSocket, clock: Clock): AppConnectionBinding {
  const over = new AbortController();
  let ended = false;
  let outcome: TcpEnd | undefined;
  let late = false;
  let reader: TcpSocketHandler | undefined;
  let changed: () => void = () => undefined;
  let requestTimer: Timer | undefined;
  let lingerTimer: Timer | undefined;

  const limitRequest = (milliseconds: number | undefined): void => {
    clock.clearTimeout(requestTimer);
    requestTimer =
      milliseconds === undefined
        ? undefined
        : clock.setTimeout(() => {
            late = true;
            changed();
          }, milliseconds);
  };

  const handler: TcpSocketHandler = {
    data(bytes, start, end) {
      if (reader) {
        reader.data(bytes, start, end);
        return;
      }
      connection.unread = Buffer.concat([connection.unread, bytes.subarray(start, end)]);
      changed();
    },
    end() {
      ended = true;
      reader?.end();
      changed();
    },
    drain: () => reader?.drain(),
    closed(end) {
      outcome = end;
      clock.clearTimeout(requestTimer);
      clock.clearTimeout(lingerTimer);
      over.abort();
      reader?.closed(end);
      changed();
    },
  };

  const connection: AppConnection & { unread: Uint8Array } = {
    socket,
    localAddress: unmapped(socket.localAddress),
    remoteAddress: unmapped(socket.remoteAddress),
    over: over.signal,
    unread: Buffer.alloc(0),
    take(count) {
      const taken = connection.unread.subarray(0, count);
      connection.unread = connection.unread.subarray(count);
      return taken;
    },
    async more(limit) {
      if (connection.unread.length >= limit)
        throw new BautaError('ERR_REQUEST_MALFORMED', { detail: 'it is too long' });
      const before = connection.unread.length;
      while (connection.unread.length === before) {
        if (late) throw new BautaError('ERR_TIMEOUT');
        if (ended || outcome) throw new BautaError('ERR_CLOSED');
        await new Promise<void>((resolve) => {
          changed = resolve;
        });
      }
    },
    write: (bytes) => void socket.write(bytes, 0, bytes.length),
    limitRequest,
    handOver(to, first = connection.unread) {
      connection.unread = Buffer.alloc(0);
      limitRequest(undefined);
      reader = to;
      if (first.length > 0) to.data(first, 0, first.length);
      if (ended) to.end();
      if (outcome) to.closed(outcome);
    },
    hangUp() {
      if (outcome) return;
      limitRequest(undefined);
      connection.unread = Buffer.alloc(0);
      reader = ignore;
      socket.grant(DISCARDED);
      socket.end();
      lingerTimer = clock.setTimeout(() => socket.reset(), LINGER);
    },
  };
  return {
    connection,
    handler,
    start: () => socket.grant(AHEAD),
  };
}
