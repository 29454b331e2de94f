import { createHash, X509Certificate } from 'node:crypto';
import type { CertificateProblem, ServerTrust } from '../../../src/quic/tls.js';
import { makeCertificate, type TestCertificate } from './certificates.js';

/** A server's certificate, how it is trusted, and what is to be said of it: undefined is a pass. */
export interface TrustCase {
  readonly title: string;
  readonly certificate: TestCertificate;
  readonly trust: ServerTrust;
  readonly serverName: string;
  readonly problem: CertificateProblem | undefined;
}

export function pinOf(certificate: TestCertificate): string {
  const key = new X509Certificate(certificate.cert).publicKey.export({ type: 'spki', format: 'der' });
  return `sha256-${createHash('sha256').update(key).digest('base64url')}`;
}

export const caOf = (certificate: TestCertificate): ServerTrust => ({ mode: 'ca', ca: certificate.cert });

/** The same verdicts are asked of TLS over TCP and of QUIC. */
export function trustCases(): readonly TrustCase[] {
  const name = 'proxy.example';
  const ca = makeCertificate({ names: [], ca: true, commonName: 'ca' });
  const intermediate = makeCertificate({ names: [], ca: true, commonName: 'intermediate', issuer: ca });
  const plain = makeCertificate({ names: [name, '127.0.0.1', '::1'] });
  const remade = makeCertificate({ names: [name] });
  const rsa = makeCertificate({ names: [name], key: 'rsa' });
  const ownCa = makeCertificate({ names: [name], ca: true });
  const late = makeCertificate({ names: [name], from: -9, to: -2 });
  const lateCa = makeCertificate({ names: [name], ca: true, from: -9, to: -2 });
  const early = makeCertificate({ names: [name], from: 2, to: 9 });
  const wide = makeCertificate({ names: ['*.example'], issuer: ca });
  const partial = makeCertificate({ names: ['pro*.proxy.example'], issuer: ca });
  const wild = makeCertificate({ names: ['*.proxy.example'], issuer: ca });
  const issuedLate = makeCertificate({ names: [name], issuer: ca, from: -9, to: -2 });
  const issuedCa = makeCertificate({ names: [name], issuer: ca, ca: true });
  const deep = makeCertificate({ names: [name], issuer: intermediate });
  const chained = { ...deep, cert: deep.cert + intermediate.cert };
  const nameless = makeCertificate({ names: [], commonName: name });
  const client = makeCertificate({ names: [name], issuer: ca, purpose: 'client' });
  const pin: ServerTrust = { mode: 'pin', pins: [pinOf(plain), pinOf(late)] };
  const insecure: ServerTrust = { mode: 'insecure' };
  const of = (
    title: string,
    certificate: TestCertificate,
    trust: ServerTrust,
    problem?: CertificateProblem,
    serverName = name,
  ): TrustCase => ({ title, certificate, trust, problem, serverName });
  return [
    of('its own anchor', plain, caOf(plain)),
    of('an IPv4 address', plain, caOf(plain), undefined, '127.0.0.1'),
    of('an IPv6 address', plain, caOf(plain), undefined, '::1'),
    of('another address', plain, caOf(plain), 'name-mismatch', '127.0.0.2'),
    of('another name', plain, caOf(plain), 'name-mismatch', 'other.example'),
    of('another case', plain, caOf(plain), undefined, 'PROXY.example'),
    of('a dot at the end', plain, caOf(plain), undefined, `${name}.`),
    of('another anchor', plain, caOf(ca), 'unknown-issuer'),
    of('a remade certificate', remade, caOf(plain), 'unknown-issuer'),
    of('an RSA key', rsa, caOf(rsa)),
    of('an anchor of the same name with another kind of key', plain, caOf(rsa), 'unknown-issuer'),
    of('an anchor of the same name with another kind of key, RSA', rsa, caOf(plain), 'unknown-issuer'),
    of('self-signed CA:TRUE as its own anchor', ownCa, caOf(ownCa)),
    of(
      'self-signed CA:TRUE as its own anchor, another name',
      ownCa,
      caOf(ownCa),
      'name-mismatch',
      'x.example',
    ),
    of('self-signed CA:TRUE, unknown', ownCa, caOf(plain), 'unknown-issuer'),
    of('an expired anchor', late, caOf(late), 'expired'),
    of('an expired anchor with CA:TRUE', lateCa, caOf(lateCa), 'expired'),
    of('an anchor of tomorrow', early, caOf(early), 'not-yet-valid'),
    of('expired and unknown', late, caOf(ca), 'expired'),
    of('issued', chained, caOf(ca)),
    of('issued, expired', issuedLate, caOf(ca), 'expired'),
    of('a wildcard', wild, caOf(ca), undefined, 'a.proxy.example'),
    of('a wildcard, two labels', wild, caOf(ca), 'name-mismatch', 'a.b.proxy.example'),
    of('a wildcard, no label', wild, caOf(ca), 'name-mismatch'),
    of('a wildcard below the root', wide, caOf(ca), 'name-mismatch'),
    of('a wildcard in a label', partial, caOf(ca), 'name-mismatch', 'proud.proxy.example'),
    of('a leaf as its own anchor', wild, caOf(wild), undefined, 'a.proxy.example'),
    of('a CA certificate as a leaf', issuedCa, caOf(ca), 'unknown-issuer'),
    of('an intermediate as the anchor', deep, caOf(intermediate)),
    of('a missing intermediate', deep, caOf(ca), 'unknown-issuer'),
    of('a name in the subject only', nameless, caOf(nameless), 'name-mismatch'),
    of('a certificate for clients', client, caOf(ca), 'other'),
    of('a pin', plain, pin),
    of('a pin, expired, another name', late, pin, undefined, 'other.example'),
    of('another key than the pinned ones', remade, pin, 'pin-mismatch'),
    of('insecure', late, insecure, undefined, 'other.example'),
    of('system', plain, { mode: 'system' }, 'unknown-issuer'),
  ];
}
