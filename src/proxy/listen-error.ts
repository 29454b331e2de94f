import { BautaError } from '../protocol/bauta-error.js';
import type { ErrorCode } from '../protocol/failures.js';
import { QuicConfigurationError } from '../quic/engine.js';

const codes: Readonly<Record<string, ErrorCode>> = {
  EADDRINUSE: 'ERR_PORT_IN_USE',
  EACCES: 'ERR_PORT_PRIVILEGE',
  EPERM: 'ERR_PORT_PRIVILEGE',
  EADDRNOTAVAIL: 'ERR_ADDRESS_UNAVAILABLE',
  EAFNOSUPPORT: 'ERR_ADDRESS_UNAVAILABLE',
};

export function isErrno(error: unknown, errno: string): boolean {
  return error instanceof QuicConfigurationError && error.errno === errno;
}

/** What a failure to listen is called in the error table. */
export function listenError(cause: unknown, what: string): BautaError {
  if (cause instanceof BautaError) return cause;
  if (!(cause instanceof QuicConfigurationError))
    return new BautaError('ERR_INTERNAL', { detail: what, cause });
  const { errno } = cause;
  if (errno === undefined) return new BautaError('ERR_CERTIFICATE_FILE', { detail: cause.message, cause });
  return new BautaError(codes[errno] ?? 'ERR_ADDRESS_UNAVAILABLE', { detail: `${what}: ${errno}`, cause });
}
