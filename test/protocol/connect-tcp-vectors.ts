import { readFileSync } from 'node:fs';
import type { ConnectTcpProblem } from '../../src/protocol/connect-tcp-bytes.js';
import type { ResetReason } from '../../src/protocol/reset-reason.js';

/** What a peer sends on a connect-tcp stream, and what has to come of it. */
export interface ConnectTcpVector {
  readonly title: string;
  readonly content: Buffer;
  /** The stream ends cleanly behind the content. */
  readonly ends: boolean;
  /** The TCP bytes. */
  readonly bytes: Buffer;
  /** They end with a FIN. */
  readonly final: boolean;
  readonly problem: ConnectTcpProblem | undefined;
  /** Why the stream is aborted. */
  readonly reason: ResetReason | undefined;
}

interface Row {
  readonly title: string;
  readonly hex: string;
  readonly ends?: boolean;
  readonly bytes: string;
  readonly final?: boolean;
  readonly problem?: ConnectTcpProblem;
}

const reasons: Record<ConnectTcpProblem, ResetReason> = {
  truncated: 'message-error',
  'after-final': 'message-error',
  datagram: 'datagram-error',
  unfinished: 'connect-error',
};

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

// The compiled tests are two folders below the project, whatever the folder's name.
const file = new URL('../../../test/protocol/connect-tcp-vectors.json', import.meta.url);

export const connectTcpVectors: readonly ConnectTcpVector[] = (
  JSON.parse(readFileSync(file, 'utf8')) as readonly Row[]
).map((row) => ({
  title: row.title,
  content: bytesOf(row.hex),
  ends: row.ends ?? false,
  bytes: bytesOf(row.bytes),
  final: row.final ?? false,
  problem: row.problem,
  reason: row.problem && reasons[row.problem],
}));
