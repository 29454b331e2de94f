import type { ConnectionClose } from '../http/connection.js';
import type { StreamOutcome } from '../http/tunnel-stream.js';
import type { SessionEnd } from './session.js';
import { UpstreamError, type UpstreamFailure } from './upstream-error.js';

/** Why a connection is gone, by the name of this room. */
export function failureOfClose(close: ConnectionClose): UpstreamFailure {
  return { kind: 'peer_closed', reason: close.reason, code: close.code, detail: close.detail };
}

/** What a session is told of its stream's outcome. */
export function endOfOutcome(outcome: StreamOutcome, streams: number, limit: number | undefined): SessionEnd {
  switch (outcome.kind) {
    case 'ended':
      return outcome;
    case 'reset':
      // RFC 9113 section 8.7 and RFC 9114 section 4.1.1: refused, so not processed.
      if (outcome.by === 'local' || outcome.reason !== 'refused') return outcome;
      return { ...outcome, failure: { kind: 'stream_limit', by: 'peer', streams, limit } };
    case 'lost': {
      const { reason, detail } = outcome;
      return { ...outcome, failure: { kind: 'peer_closed', reason, code: undefined, detail } };
    }
  }
}

/** What a session is told when its owner is over. */
export function endOfFailure(failure: UpstreamFailure): SessionEnd {
  const { message: detail } = new UpstreamError(failure);
  switch (failure.kind) {
    case 'peer_closed':
      return { kind: 'lost', reason: failure.reason, detail: failure.detail, failure };
    case 'unresponsive':
      return { kind: 'lost', reason: 'timeout', detail, failure };
    default:
      return { kind: 'lost', reason: 'closed', detail, failure };
  }
}

/** The error of an acquire whose stream ended first. */
export function errorOfEnd(end: SessionEnd): UpstreamError {
  if (end.kind !== 'ended' && end.failure) return new UpstreamError(end.failure);
  return end.kind === 'reset'
    ? new UpstreamError({ kind: 'stream_reset', code: end.code, detail: end.reason })
    : new UpstreamError({ kind: 'stream_reset', code: undefined, detail: 'ended before it was open' });
}
