import { BautaError } from '../protocol/bauta-error.js';
import type { ErrorCode } from '../protocol/failures.js';
import { mostTelling } from '../protocol/most-telling.js';
import { type FailedAttempt, UpstreamError, type UpstreamFailure } from './upstream-error.js';

function combined(attempts: readonly FailedAttempt[], cause: UpstreamError): BautaError {
  const errors = attempts.map(({ error }) => bautaErrorOf(error));
  const best = mostTelling(errors);
  if (!best) return new BautaError('ERR_INTERNAL', { detail: 'nothing was tried', cause });
  const { code, status, proxyStatus, hint } = best;
  return new BautaError(code, {
    detail: attempts.map(({ version }, index) => `${version}: ${errors[index]?.message}`).join(' '),
    cause,
    ...(status === undefined ? {} : { status }),
    ...(proxyStatus === undefined ? {} : { proxyStatus }),
    ...(hint === undefined ? {} : { hint }),
  });
}

function codeOf(failure: Exclude<UpstreamFailure, { kind: 'all_failed' }>): ErrorCode {
  switch (failure.kind) {
    case 'stream_limit':
    case 'pool_exhausted':
      return 'ERR_TOO_MANY';
    case 'peer_closed':
    case 'unresponsive':
      return 'ERR_CONNECTION_LOST';
    case 'stream_reset':
      return 'ERR_TUNNEL_RESET';
    case 'draining':
      return 'ERR_DRAINING';
    case 'stopped':
    case 'session_gone':
    case 'checkout_over':
      return 'ERR_CLOSED';
    case 'timeout':
      return failure.of === 'dial' ? 'ERR_PROXY_TIMEOUT' : 'ERR_TIMEOUT';
    case 'aborted':
      return 'ERR_ABORTED';
    case 'invalid_option':
      return 'ERR_USAGE';
    case 'unsuitable':
      return 'ERR_VERSION_UNSUPPORTED';
  }
}

/** Whatever this room rejects with, as an error of the table; one that is already is returned as it is. */
export function bautaErrorOf(error: unknown): BautaError {
  if (error instanceof BautaError) return error;
  if (error instanceof UpstreamError) {
    const { failure } = error;
    if (failure.kind === 'all_failed') return combined(failure.attempts, error);
    return new BautaError(codeOf(failure), { detail: error.message, cause: error });
  }
  if (error instanceof AggregateError && error.errors.length > 0) {
    const best = mostTelling(error.errors.map(bautaErrorOf));
    if (best) return best;
  }
  const detail = error instanceof Error ? error.message : String(error);
  return new BautaError('ERR_INTERNAL', { detail, cause: error });
}
