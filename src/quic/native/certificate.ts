import type { CertificateAndKey, Pem } from '../tls.js';
import { loadBinding } from './binding.js';
import { pemBuffer } from './pem.js';

/**
 * Makes a key and a self-signed certificate (no CA) for DNS names and IP addresses, valid for
 * `days`; with a PEM `key` it is used instead of a new one, so that the pin stays. Throws an
 * `Error` for a name, a validity or a key that cannot be used.
 */
export function selfSigned(
  names: readonly string[],
  days: number,
  key?: string,
): CertificateAndKey & { cert: string; key: string } {
  return loadBinding().selfSigned([...names], days, key);
}

/**
 * `sha256-<base64url>` over the public key (SPKI) of the first certificate, PEM or DER.
 * Throws an `Error` where there is none.
 */
export function spkiPin(certificate: Pem): string {
  return loadBinding().spkiPin(pemBuffer(certificate));
}
