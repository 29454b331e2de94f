import type { H3Limits } from '../http/h3/limits.js';
import type { H3Settings } from '../protocol/h3-settings.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import type { QuicTransportOptions } from '../quic/engine.js';
import type { CertificateAndKey, ServerTrust } from '../quic/tls.js';

/** How the server is checked, and what is shown to it. */
export interface UpstreamTls {
  /** Sent as SNI and checked against the certificate; default: the host. */
  readonly serverName?: string;
  /** Default: the one protocol of the version (`h3`, `h2` or `http/1.1`). */
  readonly alpn?: readonly string[];
  readonly trust: ServerTrust;
  readonly certificate?: CertificateAndKey;
  /** Append TLS secrets to this file (NSS key log format). */
  readonly keyLogFile?: string;
}

/** A next hop, whatever the HTTP version. */
export interface UpstreamOrigin {
  /** A name or a literal address without brackets. */
  readonly host: string;
  readonly port: number;
  readonly tls: UpstreamTls;
  /**
   * What the requests on the connection are authenticated with, as any text that differs where they differ;
   * it goes into the fingerprint only.
   */
  readonly credentials?: string;
  /** The hops before this one, nearest first, by their fingerprints or links; goes into the fingerprint. */
  readonly proxyPath?: readonly string[];
  /** Settings of HTTP/3 that win over the defaults: extended CONNECT and HTTP datagrams enabled. */
  readonly h3Settings?: Partial<
    Pick<H3Settings, 'enableConnectProtocol' | 'h3Datagram' | 'maxFieldSectionSize'>
  >;
  readonly h3Limits?: Partial<H3Limits>;
  /** QUIC transport options; its datagrams stay on whatever `h3Settings` says. */
  readonly quic?: Omit<QuicTransportOptions, 'datagramReceiveBuffer'>;
}

/** A next hop and the HTTP version to reach it with: what a connection is dialled to. */
export interface UpstreamTarget extends UpstreamOrigin {
  readonly version: HttpVersion;
}

/** The application protocol that the version stands for (RFC 9114 section 3.1, RFC 9113 section 3.2, RFC 7301). */
export const alpnOf: Record<HttpVersion, string> = { h3: 'h3', h2: 'h2', h1: 'http/1.1' };
