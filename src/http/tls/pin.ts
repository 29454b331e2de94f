import { createHash, type X509Certificate } from 'node:crypto';

/** `sha256-<base64url of SHA-256 over the SubjectPublicKeyInfo>`, or empty for a key that cannot be read. */
export function pinOf(certificate: X509Certificate): string {
  try {
    const key = certificate.publicKey.export({ type: 'spki', format: 'der' });
    return `sha256-${createHash('sha256').update(key).digest('base64url')}`;
  } catch {
    return '';
  }
}

/** Whether the text has the form of a pin. */
export function isPin(text: string): boolean {
  return (
    /^sha256-[\w-]{43}$/.test(text) &&
    `sha256-${Buffer.from(text.slice(7), 'base64url').toString('base64url')}` === text
  );
}
