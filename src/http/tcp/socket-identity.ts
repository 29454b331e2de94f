import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import type { SocketAddress } from '../../quic/address.js';

/** Who is at the two ends of a connection. */
export interface SocketIdentity {
  readonly id: number;
  readonly remoteAddress: SocketAddress;
  readonly localAddress: SocketAddress;
  readonly serverName: string | undefined;
  readonly peerCertificates: readonly Uint8Array[];
}

/** An address as Node tells it, without the IPv4-mapped form of dual-stack sockets and without a zone. */
export function socketAddress(address: string | undefined, port: number | undefined): SocketAddress {
  const text = (address ?? '').replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '').replace(/%.*$/, '');
  return { address: text, port: port ?? 0 };
}

/** The peer's certificates, DER, leaf first. */
export function peerCertificates(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  // A self-signed certificate names itself as its issuer.
  for (let depth = 0; certificate?.raw && depth < 16; depth += 1) {
    chain.push(certificate.raw);
    const issuer: DetailedPeerCertificate | undefined = certificate.issuerCertificate;
    if (issuer === certificate) break;
    certificate = issuer;
  }
  return chain;
}
