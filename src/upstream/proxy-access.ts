import type { Fields } from '../protocol/fields.js';
import type { CertificateAndKey, ServerTrust } from '../quic/tls.js';

/** All that is needed to reach one proxy and to ask it for tunnels. */
export interface ProxyAccess {
  /** A name or literal address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** Host and port as requests name them. */
  readonly authority: string;
  readonly trust: ServerTrust;
  readonly certificate?: CertificateAndKey;
  /** The fields that show who asks (RFC 9110 section 11.6.2), asked for anew for each tunnel. */
  credentials(): Promise<Fields>;
  /** Path of a TCP tunnel to the target, asked for by template (draft-ietf-httpbis-connect-tcp section 2). */
  tcpPath(target: { readonly host: string; readonly port: number }): string;
  /** Path of a UDP tunnel to the target (RFC 9298 section 2). */
  udpPath(target: { readonly host: string; readonly port: number }): string;
}
