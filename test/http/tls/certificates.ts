import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import type { CertificateAndKey } from '../../../src/quic/tls.js';

/** A certificate to make: dates in days from now; `issuer` signs it, or it does so itself. */
export interface CertificateRequest {
  readonly names: readonly string[];
  readonly ca?: boolean;
  readonly from?: number;
  readonly to?: number;
  readonly purpose?: 'server' | 'client';
  readonly issuer?: TestCertificate;
  readonly commonName?: string;
  readonly key?: 'ec' | 'rsa';
}

export interface TestCertificate extends CertificateAndKey {
  readonly cert: string;
  readonly key: string;
  readonly der: Buffer;
  readonly subject: Buffer;
  readonly privateKey: KeyObject;
}

const day = 86_400_000;

function tlv(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  if (body.length < 128) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  if (body.length < 256) return Buffer.concat([Buffer.from([tag, 0x81, body.length]), body]);
  return Buffer.concat([Buffer.from([tag, 0x82, body.length >> 8, body.length & 0xff]), body]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => tlv(0x30, ...parts);
const oid = (hex: string): Buffer => tlv(0x06, Buffer.from(hex, 'hex'));
const yes = Buffer.from([0x01, 0x01, 0xff]);

function algorithmOf(key: KeyObject): Buffer {
  return key.asymmetricKeyType === 'rsa'
    ? sequence(oid('2a864886f70d01010b'), Buffer.from([0x05, 0x00]))
    : sequence(oid('2a8648ce3d040302'));
}

function time(days: number): Buffer {
  const text = new Date(Date.now() + days * day).toISOString().replace(/[-:T]|\.\d+/g, '');
  return tlv(0x18, Buffer.from(text));
}

function ipBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  if (address === '::1') return Buffer.from([...Array<number>(15).fill(0), 1]);
  throw new Error(`this maker knows no ${address}`);
}

function extension(id: string, critical: boolean, value: Uint8Array): Buffer {
  return sequence(oid(id), ...(critical ? [yes] : []), tlv(0x04, value));
}

/** Makes an ECDSA P-256 or RSA certificate with whatever dates, names and flags a test needs. */
export function makeCertificate(request: CertificateRequest): TestCertificate {
  const { privateKey, publicKey } =
    request.key === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = request.issuer?.privateKey ?? privateKey;
  const { names, issuer, ca = false, from = -1, to = 30, purpose } = request;
  const commonName = tlv(0x0c, Buffer.from(request.commonName ?? names[0] ?? 'none'));
  const subject = sequence(tlv(0x31, sequence(oid('550403'), commonName)));
  const alternatives = names.map((name) =>
    isIP(name) === 0 ? tlv(0x82, Buffer.from(name)) : tlv(0x87, ipBytes(name)),
  );
  const purposeId = purpose === 'client' ? '2b06010505070302' : '2b06010505070301';
  const extensions = sequence(
    extension('551d13', true, sequence(...(ca ? [yes] : []))),
    ...(names.length > 0 ? [extension('551d11', false, sequence(...alternatives))] : []),
    ...(purpose ? [extension('551d25', false, sequence(oid(purposeId)))] : []),
  );
  const serial = Buffer.concat([Buffer.from([0x40]), randomBytes(8)]);
  const body = sequence(
    tlv(0xa0, Buffer.from([0x02, 0x01, 0x02])),
    tlv(0x02, serial),
    algorithmOf(signer),
    issuer ? issuer.subject : subject,
    sequence(time(from), time(to)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, extensions),
  );
  const signature = sign('sha256', body, signer);
  const der = sequence(body, algorithmOf(signer), tlv(0x03, Buffer.from([0]), signature));
  const cert = `-----BEGIN CERTIFICATE-----\n${der
    .toString('base64')
    .match(/.{1,64}/g)
    ?.join('\n')}\n-----END CERTIFICATE-----\n`;
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { cert, key, der, subject, privateKey };
}
