/** PEM text, or the bytes of such text. */
export type Pem = string | Uint8Array;

/** How a server's certificate is checked. */
export type ServerTrust =
  /** The system's roots. */
  | { readonly mode: 'system' }
  /** These roots only. */
  | { readonly mode: 'ca'; readonly ca: Pem }
  /** The leaf's public key is one of these (`sha256-<base64url of SHA-256 over the SPKI>`); replaces chain and name checks. */
  | { readonly mode: 'pin'; readonly pins: readonly string[] }
  /** Anything goes: only ever on explicit demand. */
  | { readonly mode: 'insecure' };

export interface CertificateAndKey {
  /** PEM chain, leaf first. */
  readonly cert: Pem;
  /** PEM private key. */
  readonly key: Pem;
}

export interface ClientTls {
  /** Sent as SNI when it is a name, and checked against the certificate. */
  readonly serverName: string;
  readonly alpn: readonly string[];
  readonly trust: ServerTrust;
  readonly certificate?: CertificateAndKey;
  /** Append TLS secrets to this file (NSS key log format). */
  readonly keyLogFile?: string;
}

export interface ServerTls {
  /** Chosen by SNI among the names in the certificates; the first is the default. */
  readonly certificates: readonly CertificateAndKey[];
  readonly alpn: readonly string[];
  readonly clientCertificates?: { readonly mode: 'optional' | 'required'; readonly ca: Pem };
  readonly keyLogFile?: string;
}

/** Why a server's certificate was refused. */
export type CertificateProblem =
  | 'unknown-issuer'
  | 'name-mismatch'
  | 'expired'
  | 'not-yet-valid'
  | 'pin-mismatch'
  | 'revoked'
  | 'malformed'
  | 'other';
