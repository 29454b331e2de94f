import { createHash, X509Certificate } from 'node:crypto';

/** `sha256-<base64url of SHA-256 over the SubjectPublicKeyInfo>` of the first certificate in PEM text. */
export function publicKeyPin(certificate: string | Uint8Array): string {
  const { publicKey } = new X509Certificate(certificate);
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return `sha256-${createHash('sha256').update(spki).digest('base64url')}`;
}
