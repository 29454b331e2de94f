import type { SocketAddress } from '../../src/quic/address.js';
import { SecureConnectError } from '../../src/quic/secure-socket.js';
import {
  TcpOpenError,
  type TcpProblem,
  type TcpSocket,
  type TcpSocketHandler,
  type TcpSockets,
} from '../../src/quic/tcp-socket.js';

/** One attempt to connect, and what it became. */
export interface ScriptedConnect {
  readonly remote: SocketAddress;
  readonly handler: TcpSocketHandler;
  readonly aborted: boolean;
  readonly written: Buffer[];
  readonly credit: number;
  readonly ended: boolean;
  readonly reset: boolean;
  /** The handshake is done. */
  up(): void;
  fail(problem: TcpProblem, errno: string): void;
  /** The target says something. */
  tell(text: string): void;
}

export interface ScriptedTcp {
  readonly face: TcpSockets;
  readonly attempts: ScriptedConnect[];
  /** Called with each attempt; without it they wait. */
  onConnect: ((attempt: ScriptedConnect) => void) | undefined;
}

/** TCP whose targets are the test. */
export function createScriptedTcp(): ScriptedTcp {
  const attempts: ScriptedConnect[] = [];
  const scripted: ScriptedTcp = {
    attempts,
    onConnect: undefined,
    face: {
      connect: ({ remote }, handler, signal) =>
        new Promise((resolve, reject) => {
          const state = { credit: 0, ended: false, reset: false, told: false };
          const written: Buffer[] = [];
          const over = (how: Parameters<TcpSocketHandler['closed']>[0]): void => {
            if (state.told) return;
            state.told = true;
            handler.closed(how);
          };
          const socket: TcpSocket = {
            localAddress: { address: '192.0.2.1', port: 50_000 },
            remoteAddress: remote,
            buffered: 0,
            grant(bytes) {
              state.credit += bytes;
            },
            write(bytes, start, end) {
              written.push(Buffer.from(bytes.subarray(start, end)));
              return true;
            },
            end() {
              state.ended = true;
            },
            reset() {
              if (state.reset) return;
              state.reset = true;
              queueMicrotask(() => over({ kind: 'reset', by: 'local', errno: 'ECONNABORTED' }));
            },
            statistics: () => ({ bytesSent: 0, bytesReceived: 0 }),
          };
          const attempt: ScriptedConnect = {
            remote,
            handler,
            written,
            get aborted() {
              return signal.aborted;
            },
            get credit() {
              return state.credit;
            },
            get ended() {
              return state.ended;
            },
            get reset() {
              return state.reset;
            },
            up: () => resolve(socket),
            fail: (problem, errno) => reject(new TcpOpenError(problem, errno)),
            tell(text) {
              const bytes = Buffer.from(text);
              if (bytes.length > state.credit) throw new Error('more than was granted');
              state.credit -= bytes.length;
              handler.data(bytes, 0, bytes.length);
            },
          };
          signal.addEventListener('abort', () => attempt.fail('aborted', 'ECANCELED'), { once: true });
          attempts.push(attempt);
          scripted.onConnect?.(attempt);
        }),
      listen: () => Promise.reject(new TcpOpenError('denied', 'EACCES')),
      connectSecure: () => Promise.reject(new SecureConnectError({ kind: 'aborted' })),
      listenSecure: () => Promise.reject(new TcpOpenError('denied', 'EACCES')),
    },
  };
  return scripted;
}
