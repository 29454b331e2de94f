import type { StreamOutcome } from '../http/tunnel-stream.js';
import type { ResetReason } from '../protocol/reset-reason.js';

/** How one side of a tunnel is over, as the other side has to be told: three different things. */
export type SideEnd =
  | { readonly kind: 'ended' }
  | { readonly kind: 'reset'; readonly reason: ResetReason }
  /** Its connection is gone. */
  | { readonly kind: 'lost'; readonly detail: string };

/** What a stream's outcome is to the other side of the tunnel. */
export function sideEndOf(outcome: StreamOutcome): SideEnd {
  switch (outcome.kind) {
    case 'ended':
      return { kind: 'ended' };
    case 'reset':
      return { kind: 'reset', reason: outcome.reason };
    case 'lost':
      return { kind: 'lost', detail: outcome.detail || outcome.reason };
  }
}

/**
 * The code for one side of a tunnel whose other side was reset or lost. Reasons that speak of the exchange
 * with that other peer alone stay there. CONNECT_ERROR says that the target's connection broke (RFC 9114 section
 * 8.1, RFC 9113 section 7); that a connection on the way to it was lost is INTERNAL_ERROR, so that the two can be
 * told apart at the far end of a chain.
 */
export function reasonBehind(end: Exclude<SideEnd, { kind: 'ended' }>): ResetReason {
  if (end.kind === 'lost') return 'internal-error';
  switch (end.reason) {
    case 'cancelled':
    case 'connect-error':
    case 'excessive-load':
    case 'internal-error':
      return end.reason;
    // Towards a client `refused` would mean that the request may be sent again.
    case 'no-error':
    case 'refused':
    case 'message-error':
    case 'datagram-error':
    case 'unknown':
      return 'cancelled';
  }
}
