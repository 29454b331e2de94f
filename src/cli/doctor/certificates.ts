import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect } from 'node:tls';
import { publicKeyPin } from '../../ops/public-key-pin.js';
import { BautaError } from '../../protocol/bauta-error.js';
import type { SocketAddress } from '../../quic/address.js';
import type { QuicEngine } from '../../quic/engine.js';

/** What a server shows of itself in the handshake; nothing is checked and nothing secret is sent. */
export interface ShownIdentity {
  readonly pin: string;
  readonly subject: string;
  readonly issuer: string;
  readonly names: string;
  readonly validTo: Date;
  readonly selfSigned: boolean;
  /** The application protocol agreed on; empty for none. */
  readonly alpn: string;
  /** Milliseconds to the end of the handshake. */
  readonly took: number;
}

function oneLine(name: string): string {
  return name.replaceAll('\n', ', ');
}

function identity(der: Uint8Array, alpn: string, took: number): ShownIdentity {
  const certificate = new X509Certificate(der);
  return {
    pin: publicKeyPin(der),
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    names: certificate.subjectAltName ?? '',
    validTo: new Date(certificate.validTo),
    selfSigned: certificate.checkIssued(certificate),
    alpn,
    took,
  };
}

/** The certificate over TCP, offering HTTP/2 and HTTP/1.1. */
export function shownOverTcp(
  remote: SocketAddress,
  serverName: string,
  timeout: number,
): Promise<ShownIdentity> {
  const since = performance.now();
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: remote.address,
      port: remote.port,
      // RFC 6066 section 3: literal addresses are not sent as server names.
      ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
      ALPNProtocols: ['h2', 'http/1.1'],
      rejectUnauthorized: false,
      timeout,
    });
    const fail = (error: BautaError): void => {
      socket.destroy();
      reject(error);
    };
    socket.once('secureConnect', () => {
      const { raw } = socket.getPeerCertificate();
      const alpn = socket.alpnProtocol || '';
      socket.end();
      socket.destroy();
      if (raw) resolve(identity(raw, alpn, performance.now() - since));
      else reject(new BautaError('ERR_TLS', { detail: 'no certificate was shown' }));
    });
    socket.once('timeout', () => fail(new BautaError('ERR_PROXY_TIMEOUT')));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const tcp = error.syscall === 'connect';
      fail(
        new BautaError(tcp ? 'ERR_PROXY_UNREACHABLE' : 'ERR_TLS', { detail: error.code ?? error.message }),
      );
    });
  });
}

/** The certificate over QUIC, offering HTTP/3. */
export async function shownOverQuic(
  engine: QuicEngine,
  remote: SocketAddress,
  serverName: string,
  timeout: number,
): Promise<ShownIdentity> {
  const since = performance.now();
  const connection = await engine.connect(
    { remote, tls: { serverName, alpn: ['h3'], trust: { mode: 'insecure' } }, handshakeTimeout: timeout },
    () => ({
      stream: () => ({ data() {}, end() {}, reset() {}, stopped() {}, drain() {}, lost() {} }),
      datagram() {},
      maxDatagramSize() {},
      closed() {},
    }),
    new AbortController().signal,
  );
  const took = performance.now() - since;
  const [leaf] = connection.peerCertificates;
  const { alpn } = connection;
  // RFC 9114 section 8.1: H3_NO_ERROR.
  connection.close(0x100, '');
  if (!leaf) throw new BautaError('ERR_TLS', { detail: 'no certificate was shown' });
  return identity(leaf, alpn, took);
}
