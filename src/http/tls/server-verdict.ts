import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { CertificateProblem, ClientTls } from '../../quic/tls.js';
import type { CertificateRefusal } from './certificate-failure.js';
import { pinOf } from './pin.js';

/** What OpenSSL says of a chain, in the words of `CertificateProblem`; what is not here is `other`. */
const problems: Readonly<Record<string, CertificateProblem>> = {
  UNABLE_TO_GET_ISSUER_CERT: 'unknown-issuer',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknown-issuer',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unknown-issuer',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'unknown-issuer',
  SELF_SIGNED_CERT_IN_CHAIN: 'unknown-issuer',
  // The issuer's name is known, its key is not: a remade self-signed certificate shows that.
  CERT_SIGNATURE_FAILURE: 'unknown-issuer',
  CERT_UNTRUSTED: 'unknown-issuer',
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not-yet-valid',
  CERT_REVOKED: 'revoked',
  ERROR_IN_CERT_NOT_BEFORE_FIELD: 'malformed',
  ERROR_IN_CERT_NOT_AFTER_FIELD: 'malformed',
  UNABLE_TO_DECRYPT_CERT_SIGNATURE: 'malformed',
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: 'malformed',
};

const reasons: Readonly<Partial<Record<CertificateProblem, string>>> = {
  'unknown-issuer': 'its issuer is unknown',
  expired: 'it has expired',
  'not-yet-valid': 'it is not valid yet',
};

/**
 * Judges the server of a finished handshake by the trust asked for: undefined is a pass. The verdicts are those
 * of the QUIC engine: the chain with its dates first, then the name; a pin replaces both.
 */
export function judgeServer(
  socket: TLSSocket,
  tls: ClientTls,
  anchors: ReadonlySet<string>,
): CertificateRefusal | undefined {
  if (tls.trust.mode === 'insecure') return undefined;
  const leaf = socket.getPeerX509Certificate();
  if (!leaf) return { problem: 'malformed', pin: '', reason: 'the server has sent no certificate' };
  const pin = pinOf(leaf);
  if (tls.trust.mode === 'pin') {
    if (pin === '') return { problem: 'malformed', pin, reason: 'its public key cannot be read' };
    if (tls.trust.pins.includes(pin)) return undefined;
    return { problem: 'pin-mismatch', pin, reason: `the server's public key has the pin ${pin}` };
  }
  // The type says Error, the value is OpenSSL's name of the problem.
  const code = socket.authorizationError ? String(socket.authorizationError) : undefined;
  if (code !== undefined) {
    const problem = problems[code] ?? 'other';
    return { problem, pin, reason: reasons[problem] ?? code };
  }
  // The engine's library takes no CA certificate for a server's own, unless it is itself an anchor.
  if (leaf.ca && !anchors.has(leaf.raw.toString('base64'))) {
    return { problem: 'unknown-issuer', pin, reason: "a CA certificate serves as the server's own" };
  }
  if (hasName(leaf, tls.serverName)) return undefined;
  const names = leaf.subjectAltName ?? 'no name';
  return { problem: 'name-mismatch', pin, reason: `it is for ${names}, not for ${tls.serverName}` };
}

/** Only subject alternative names count; a wildcard is a whole first label (RFC 9525 section 6.3). */
function hasName(leaf: X509Certificate, name: string): boolean {
  if (isIP(name) !== 0) return leaf.checkIP(name) !== undefined;
  return leaf.checkHost(name.replace(/\.$/, ''), { subject: 'never', partialWildcards: false }) !== undefined;
}
