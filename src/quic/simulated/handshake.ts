import { isIP } from 'node:net';
import type { SecureConnectFailure } from '../secure-socket.js';
import type { ClientTls, ServerTls } from '../tls.js';
import type { Host } from './host.js';

/** RFC 7301 section 3.2: no application protocol in common. */
const noApplicationProtocol = 120;

/** What a handshake without cryptography settles for one side. */
export interface SettledTls {
  readonly alpn: string | undefined;
  readonly serverName: string | undefined;
  readonly peerCertificates: readonly Uint8Array[];
  /** False until the listener says otherwise. */
  readonly greeted: boolean;
}

/** Both sides of a handshake over TCP, or why there is none. Trust is what the server's host says of it. */
export function shakeHands(
  client: Host,
  hello: ClientTls,
  server: Host,
  tls: ServerTls,
): { readonly client: SettledTls; readonly server: SettledTls } | SecureConnectFailure {
  const alpn = tls.alpn.find((name) => hello.alpn.includes(name));
  if (alpn === undefined && hello.alpn.length > 0 && tls.alpn.length > 0) {
    return { kind: 'tls', alert: noApplicationProtocol, reason: 'no application protocol in common' };
  }
  const { certificateProblem: problem, pin = 'sha256-simulated', certificates = [] } = server.options;
  if (problem !== undefined && hello.trust.mode !== 'insecure') {
    return { kind: 'certificate', problem, pin, reason: `simulated: ${problem}` };
  }
  // RFC 6066 section 3: an address is not sent as SNI.
  const serverName = isIP(hello.serverName) === 0 ? hello.serverName : undefined;
  return {
    client: { alpn, serverName, peerCertificates: certificates, greeted: false },
    server: {
      alpn,
      serverName,
      peerCertificates: tls.clientCertificates ? (client.options.certificates ?? []) : [],
      greeted: false,
    },
  };
}
