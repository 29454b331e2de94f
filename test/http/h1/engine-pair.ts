import type { Clock } from '../../../src/clock/clock.js';
import type {
  HttpAccept,
  HttpClientConnection,
  HttpClientConnectionHandler,
} from '../../../src/http/connection.js';
import { startH1Client } from '../../../src/http/h1/client-connection.js';
import { bindTcpConnection } from '../../../src/http/tcp/tcp-connection.js';
import type { SocketAddress } from '../../../src/quic/address.js';
import type { TcpSocket, TcpSocketHandler } from '../../../src/quic/tcp-socket.js';
import { settled, type TcpWorld } from '../../quic/tcp-world.js';
import { certificate, clientTls } from '../tcp/peers.js';
import { serveH1 } from './conformance-pair.js';

export interface EngineServer {
  readonly localAddress: SocketAddress;
  /** What was accepted, so that a test can break one. */
  readonly sockets: TcpSocket[];
  close(): void;
}

/** HTTP/1.1 on TCP of an engine, with its TLS or without. */
export async function serveEngine(
  world: TcpWorld,
  clock: Clock,
  secure: boolean,
  accept: HttpAccept,
): Promise<EngineServer> {
  const sockets: TcpSocket[] = [];
  const serve = serveH1(clock);
  const take = (socket: TcpSocket): TcpSocketHandler => {
    sockets.push(socket);
    return serve(socket, accept).socketHandler;
  };
  const local = { address: world.address, port: 0 };
  const tls = { certificates: [certificate], alpn: ['http/1.1'] };
  const listening = secure
    ? world.server.listenSecure({ local, tls }, take)
    : world.server.listen({ local }, take);
  const listener = await settled<{ localAddress: SocketAddress; close(): void }>(world, listening);
  return { localAddress: listener.localAddress, sockets, close: () => listener.close() };
}

export async function dialEngine(
  world: TcpWorld,
  clock: Clock,
  secure: boolean,
  { localAddress: remote }: EngineServer,
  handler: HttpClientConnectionHandler = {},
): Promise<HttpClientConnection> {
  const bound = bindTcpConnection();
  const never = new AbortController().signal;
  const tls = { ...clientTls, alpn: ['http/1.1'] };
  const connecting = secure
    ? world.client.connectSecure({ remote, tls }, bound.handler, never)
    : world.client.connect({ remote }, bound.handler, never);
  const socket = await settled<TcpSocket>(world, connecting);
  return startH1Client(bound.attach(socket), { remoteAddress: remote, clock, headSize: 64 * 1024 }, handler);
}
