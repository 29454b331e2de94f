import { X509Certificate } from 'node:crypto';
import type { Pem } from '../../quic/tls.js';

const certificateBlock = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;

export function pemText(pem: Pem): string {
  return typeof pem === 'string' ? pem : Buffer.from(pem).toString('latin1');
}

/** The DER of each certificate in a PEM text, as base64 without white space. */
export function certificateBlocks(pem: Pem): readonly string[] {
  return Array.from(pemText(pem).matchAll(certificateBlock), (match) => (match[1] ?? '').replace(/\s+/g, ''));
}

/** The certificate, or undefined where these bytes are none. */
export function parseCertificate(base64: string): X509Certificate | undefined {
  try {
    return new X509Certificate(Buffer.from(base64, 'base64'));
  } catch {
    return undefined;
  }
}

/** The usable certificates of a PEM text, as base64 DER. */
export function anchorsIn(pem: Pem): ReadonlySet<string> {
  return new Set(certificateBlocks(pem).filter((der) => parseCertificate(der) !== undefined));
}

/** PEM of one certificate. */
export function certificatePem(base64: string): string {
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}
