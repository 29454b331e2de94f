import { h3ErrorCodes, h3ErrorName } from '../../protocol/h3-error.js';
import type { QuicCloseReason } from '../../quic/connection.js';
import type { ConnectionClose } from '../connection.js';
import type { LossReason } from '../tunnel-stream.js';

/** What this side closed a connection for. */
export interface LocalClose {
  readonly code: number;
  readonly detail: string;
}

function lossOf(code: number, byPeer: boolean): LossReason {
  if (code === h3ErrorCodes.H3_NO_ERROR) return byPeer ? 'peer-closed' : 'closed';
  return code === h3ErrorCodes.H3_INTERNAL_ERROR ? 'internal-error' : 'protocol-error';
}

/** QUIC transport codes (RFC 9000 section 20.1). */
const transport = { NO_ERROR: 0x0, INTERNAL_ERROR: 0x1 } as const;

/** The end of a QUIC connection, as every HTTP version says it. */
export function closeOf(reason: QuicCloseReason, local: LocalClose | undefined): ConnectionClose {
  if (local) return { reason: lossOf(local.code, false), code: local.code, detail: local.detail };
  switch (reason.kind) {
    case 'application': {
      const detail = [h3ErrorName(reason.code), reason.reason].filter(Boolean).join(': ');
      return { reason: lossOf(reason.code, reason.byPeer), code: reason.code, detail };
    }
    case 'transport': {
      const { code } = reason;
      const detail = reason.reason || `QUIC transport error 0x${code.toString(16)}`;
      if (code === transport.NO_ERROR)
        return { reason: reason.byPeer ? 'peer-closed' : 'closed', code, detail };
      return {
        reason: code === transport.INTERNAL_ERROR ? 'internal-error' : 'protocol-error',
        code,
        detail,
      };
    }
    case 'idle':
      return { reason: 'timeout', code: undefined, detail: 'nothing was heard for the idle time' };
    case 'stateless-reset':
      return { reason: 'reset', code: undefined, detail: 'the peer has lost its state' };
    case 'engine':
      return { reason: 'internal-error', code: undefined, detail: reason.reason };
  }
}
