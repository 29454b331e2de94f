import type { TcpEnd } from '../../quic/tcp-socket.js';
import type { ConnectionClose } from '../connection.js';
import type { LossReason } from '../tunnel-stream.js';

/** Why a connection over TCP ended; the first cause told is the one that stays. */
export interface LossRecord {
  readonly cause: ConnectionClose | undefined;
  record(reason: LossReason, code: number | undefined, detail: string): void;
}

export function createLossRecord(): LossRecord {
  const made: LossRecord & { cause: ConnectionClose | undefined } = {
    cause: undefined,
    record(reason, code, detail) {
      made.cause ??= { reason, code, detail };
    },
  };
  return made;
}

const reasons: Readonly<Record<string, LossReason>> = {
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ECONNABORTED: 'reset',
  ETIMEDOUT: 'timeout',
  EHOSTUNREACH: 'timeout',
  ENETUNREACH: 'timeout',
  // A fault of TLS.
  EPROTO: 'reset',
  // Of a carrier that is a tunnel.
  ERR_TUNNEL_RESET: 'reset',
  ERR_CONNECTION_LOST: 'reset',
};

/** What the `errno` of a TCP connection's end says about the loss. */
export function lossOf(errno: string): LossReason {
  return reasons[errno] ?? (errno.startsWith('ERR_SSL') ? 'reset' : 'internal-error');
}

/** What a socket's error says about the loss. */
export function recordError(record: LossRecord, error: unknown): void {
  const code = errnoOf(error);
  const detail = error instanceof Error ? error.message : String(error);
  record.record(lossOf(code ?? ''), undefined, detail);
}

/** What the end of a TCP connection says about the loss; nothing when it was clean, or this side's own. */
export function recordTcpEnd(record: LossRecord, end: TcpEnd): void {
  if (end.kind === 'reset' && end.errno !== 'ECONNABORTED') recordError(record, lossError(end.errno));
}

/** A connection's loss as the error that Node's own sockets would have. */
export function lossError(errno: string): Error {
  return Object.assign(new Error(errno), { code: errno, syscall: 'read' });
}

/** The `code` of a Node error. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
