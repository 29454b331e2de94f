import { capsuleTypes } from './capsule.js';
import { type ConnectTcpCapsules, connectTcpCapsule, connectTcpCapsulesWith } from './connect-tcp.js';
import type { ResetReason } from './reset-reason.js';
import { TypeLengthValueParser } from './type-length-value.js';

/** Why the capsules of a connect-tcp stream cannot go on. */
export type ConnectTcpProblem =
  /** The stream ended inside a capsule (RFC 9297 section 3.3). */
  | 'truncated'
  /** The stream ended, and there was no FINAL_DATA. */
  | 'unfinished'
  /** DATA or FINAL_DATA after FINAL_DATA. */
  | 'after-final'
  /** A DATAGRAM capsule, which means nothing here (RFC 9297 section 3.5). */
  | 'datagram';

const problems: Record<ConnectTcpProblem, { readonly reason: ResetReason; readonly text: string }> = {
  truncated: { reason: 'message-error', text: 'the stream ended inside a capsule' },
  // draft-ietf-httpbis-connect-tcp section 3.4: as the reset of the TCP connection.
  unfinished: { reason: 'connect-error', text: 'the stream ended without FINAL_DATA' },
  'after-final': { reason: 'message-error', text: 'a capsule with bytes after FINAL_DATA' },
  datagram: { reason: 'datagram-error', text: 'a datagram on a stream of TCP bytes' },
};

export class ConnectTcpError extends Error {
  override readonly name = 'ConnectTcpError';
  /** Why the stream is aborted. */
  readonly reason: ResetReason;
  constructor(readonly problem: ConnectTcpProblem) {
    super(problems[problem].text);
    this.reason = problems[problem].reason;
  }
}

export interface ConnectTcpHandler {
  /** TCP bytes, as they come; the view is valid only during the call. */
  bytes(bytes: Uint8Array, start: number, end: number): void;
  /** The last byte of FINAL_DATA was told: the sender's FIN. */
  final(): void;
  /** A capsule of another type begins; its value is not kept. */
  skipped?(type: number): void;
}

export interface ConnectTcpParser {
  /** The capsules that the peer used first; undefined before its first one. */
  readonly capsules: ConnectTcpCapsules | undefined;
  /** FINAL_DATA was told. */
  readonly finished: boolean;
  /** Takes the next content of the stream; throws `ConnectTcpError`, after which it must not be fed again. */
  push(bytes: Uint8Array, start: number, end: number): void;
  /** The stream ended cleanly; throws `ConnectTcpError` unless that is where it may. */
  end(): void;
  /** Tells nothing more, also when called out of one of the handler's own calls. */
  stop(): void;
}

/**
 * Takes TCP bytes out of DATA and FINAL_DATA capsules (draft-ietf-httpbis-connect-tcp section 3), without
 * waiting for a capsule's end. The capsules of every known revision are understood, also mixed; others are
 * skipped (RFC 9297 section 3.2).
 */
export function createConnectTcpParser(handler: ConnectTcpHandler): ConnectTcpParser {
  /** FINAL_DATA has begun. */
  let last = false;
  const values = new TypeLengthValueParser({
    begin(type) {
      const kind = connectTcpCapsule(type);
      if (kind === undefined) {
        if (type === capsuleTypes.DATAGRAM) throw new ConnectTcpError('datagram');
        handler.skipped?.(type);
        return 'skip';
      }
      if (last) throw new ConnectTcpError('after-final');
      last = kind === 'final-data';
      parser.capsules ??= connectTcpCapsulesWith(type);
      return 'pieces';
    },
    whole: () => undefined,
    piece: (_type, bytes, start, end) => handler.bytes(bytes, start, end),
    finished() {
      if (!last) return;
      parser.finished = true;
      handler.final();
    },
  });
  const parser: ConnectTcpParser & { capsules: ConnectTcpCapsules | undefined; finished: boolean } = {
    capsules: undefined,
    finished: false,
    push: (bytes, start, end) => values.push(bytes, start, end),
    end() {
      if (!values.atBoundary) throw new ConnectTcpError('truncated');
      if (!parser.finished) throw new ConnectTcpError('unfinished');
    },
    stop: () => values.stop(),
  };
  return parser;
}
