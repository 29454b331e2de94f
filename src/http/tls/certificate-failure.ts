import { BautaError } from '../../protocol/bauta-error.js';
import type { CertificateProblem } from '../../quic/tls.js';

/** Why a proxy's certificate was refused, over TCP and over QUIC alike. */
export interface CertificateRefusal {
  readonly problem: CertificateProblem;
  /** The pin of the certificate seen; empty when it cannot be read. */
  readonly pin: string;
  /** For a person. */
  readonly reason: string;
}

/** The public error of a refused certificate; an unknown one names the pin that would accept it. */
export function certificateError(refusal: CertificateRefusal): BautaError {
  const { problem, pin, reason } = refusal;
  switch (problem) {
    case 'unknown-issuer':
      return new BautaError('ERR_CERTIFICATE_UNKNOWN', {
        detail: pin === '' ? reason : `${reason}; its pin is ${pin}`,
        ...(pin === '' ? {} : { hint: `If it is yours, put its pin into the link: #pin=${pin}` }),
      });
    case 'name-mismatch':
      return new BautaError('ERR_CERTIFICATE_NAME', { detail: reason });
    case 'expired':
    case 'not-yet-valid':
      return new BautaError('ERR_CERTIFICATE_EXPIRED', { detail: reason });
    case 'pin-mismatch':
      return new BautaError('ERR_PIN_MISMATCH', { detail: `the pin seen is ${pin}` });
    case 'revoked':
    case 'malformed':
    case 'other':
      return new BautaError('ERR_TLS', { detail: `the certificate is refused: ${reason}` });
  }
}
