import type { StreamOutcome } from '../http/tunnel-stream.js';
import { BautaError } from '../protocol/bauta-error.js';
import type { ResetReason } from '../protocol/reset-reason.js';

/** How a tunnel ended. */
export type TunnelEnd =
  /** In order, by either side. */
  | { readonly kind: 'ended' }
  /**
   * By the peer: `connect-error` where the target failed, `internal-error` where a proxy did or the way between two
   * of them was lost. HTTP/1.1 cannot tell: `unknown`.
   */
  | { readonly kind: 'reset'; readonly by: 'peer' | 'local'; readonly reason: ResetReason }
  /** With its connection. */
  | { readonly kind: 'lost'; readonly error: BautaError };

/** `closedHere` tells a loss that the client's own close was from any other. */
export function tunnelEndOf(outcome: StreamOutcome, closedHere: boolean): TunnelEnd {
  switch (outcome.kind) {
    case 'ended':
      return { kind: 'ended' };
    case 'reset':
      return { kind: 'reset', by: outcome.by, reason: outcome.reason };
    case 'lost':
      return {
        kind: 'lost',
        error: closedHere
          ? new BautaError('ERR_CLOSED')
          : new BautaError('ERR_CONNECTION_LOST', { detail: outcome.detail || outcome.reason }),
      };
  }
}

/** What reading throws for an end that was not in order; undefined for one that was, or that was made here. */
export function errorOfEnd(end: TunnelEnd): BautaError | undefined {
  if (end.kind === 'lost') return end.error;
  if (end.kind === 'reset' && end.by === 'peer') {
    return new BautaError('ERR_TUNNEL_RESET', { detail: end.reason });
  }
  return undefined;
}

/** What a tunnel needs of its client. */
export interface TunnelOwner {
  /** True once the client was closed by its user. */
  readonly closing: boolean;
  /** Told whether the tunnel keeps the process running. */
  hold(held: boolean): void;
}
