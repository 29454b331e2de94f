import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { QuicConfigurationError } from '../../quic/engine.js';
import type { CertificateAndKey } from '../../quic/tls.js';
import { certificateBlocks, parseCertificate, pemText } from './pem-text.js';

/** A PEM chain and key that belong together; `cert` and `key` as Node's TLS takes them. */
export interface CertifiedKey {
  readonly cert: string;
  readonly key: string;
  readonly leaf: X509Certificate;
}

/** Throws `QuicConfigurationError` with what is wrong; Node itself takes an empty text for no certificate at all. */
export function certifiedKey(pair: CertificateAndKey): CertifiedKey {
  const [first] = certificateBlocks(pair.cert);
  if (first === undefined) throw unusable('there is no certificate: PEM with BEGIN CERTIFICATE is needed');
  const leaf = parseCertificate(first);
  if (!leaf) throw unusable('the certificate cannot be parsed');
  const key = pemText(pair.key);
  if (!leaf.checkPrivateKey(privateKey(key))) {
    throw unusable('the private key does not belong to the certificate');
  }
  return { cert: pemText(pair.cert), key, leaf };
}

function privateKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw unusable('there is no usable private key: PEM with an unencrypted PRIVATE KEY is needed');
  }
}

function unusable(message: string): QuicConfigurationError {
  return new QuicConfigurationError(message);
}
