import type { Clock } from '../../../src/clock/clock.js';
import { systemClock } from '../../../src/clock/system-clock.js';
import type {
  HttpAccept,
  HttpClientConnection,
  HttpClientConnectionHandler,
} from '../../../src/http/connection.js';
import { dialH1 } from '../../../src/http/h1/dial.js';
import { createH1Server, type H1Served } from '../../../src/http/h1/server-connection.js';
import type { SocketAddress } from '../../../src/quic/address.js';
import type { TcpSocket } from '../../../src/quic/tcp-socket.js';
import type { Capabilities } from '../conformance/pair.js';
import { clientTls } from '../tcp/peers.js';

export const h1Capabilities: Capabilities = {
  nativeDatagrams: false,
  halfClose: true,
  multiplex: false,
  resetCodes: false,
  connectKind: true,
  earlyContent: false,
  ping: false,
  breakable: false,
  streamLimit: false,
};

let ids = 0;

/** A server of HTTP/1.1 for sockets of any kind. */
export function serveH1(clock: Clock): (socket: TcpSocket, accept: HttpAccept) => H1Served {
  const server = createH1Server({
    clock,
    requestHeadTimeout: 20_000,
    altSvc: undefined,
    headSize: 32 * 1024,
    isTunnelToken: (token) => token.startsWith('connect-'),
  });
  return (socket, accept) => {
    const { remoteAddress, localAddress } = socket;
    const identity = { id: ++ids, remoteAddress, localAddress, serverName: undefined, peerCertificates: [] };
    return server.serve(socket, identity, accept);
  };
}

/** Dials with Node's TLS. */
export function dialWithNode(
  remote: SocketAddress,
  handler: HttpClientConnectionHandler,
): Promise<HttpClientConnection> {
  const options = { remote, tls: clientTls, clock: systemClock };
  return dialH1(undefined, options, handler, AbortSignal.timeout(60_000));
}
