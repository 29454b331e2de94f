import { BautaError } from '../protocol/bauta-error.js';
import type { QuicConnectError } from '../quic/engine.js';
import { SecureConnectError } from '../quic/secure-socket.js';
import { certificateError } from './tls/certificate-failure.js';
import { tlsDetail } from './tls/tls-detail.js';

/** The public error of a QUIC connection, or of one with TLS over TCP, that did not come up. */
export function mapConnectError(error: QuicConnectError | SecureConnectError): BautaError {
  const { failure } = error;
  switch (failure.kind) {
    case 'timeout':
      return new BautaError('ERR_PROXY_TIMEOUT', {
        ...(error instanceof SecureConnectError ? { detail: 'in the TCP or TLS handshake' } : {}),
        cause: error,
      });
    case 'aborted':
      return new BautaError('ERR_ABORTED', { cause: error });
    case 'unreachable':
      return new BautaError('ERR_PROXY_UNREACHABLE', { detail: failure.errno, cause: error });
    case 'certificate':
      return certificateError(failure);
    case 'tls':
      return new BautaError('ERR_TLS', { detail: tlsDetail(failure.alert, failure.reason), cause: error });
    case 'refused':
      return new BautaError('ERR_PROXY_UNREACHABLE', {
        detail: `the connection was refused with code 0x${failure.code.toString(16)}${failure.reason && `: ${failure.reason}`}`,
        cause: error,
      });
    case 'version':
      return new BautaError('ERR_VERSION_UNSUPPORTED', {
        detail: 'no QUIC version in common',
        cause: error,
      });
    case 'engine':
      return new BautaError('ERR_INTERNAL', { detail: failure.reason, cause: error });
  }
}
