import { selfSigned } from '../../../src/quic/native/index.js';
import type { CertificateAndKey } from '../../../src/quic/tls.js';

/** A fresh self-signed certificate for this machine. */
export function testCertificate(): CertificateAndKey {
  return selfSigned(['localhost', '127.0.0.1', '::1'], 30);
}
