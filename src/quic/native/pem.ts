import type { CertificateAndKey, Pem } from '../tls.js';
import type { NativeCertificate } from './binding.js';

export function pemBuffer(pem: Pem): Buffer {
  return typeof pem === 'string' ? Buffer.from(pem) : Buffer.from(pem.buffer, pem.byteOffset, pem.byteLength);
}

export function nativeCertificate(pair: CertificateAndKey): NativeCertificate {
  return { cert: pemBuffer(pair.cert), key: pemBuffer(pair.key) };
}
