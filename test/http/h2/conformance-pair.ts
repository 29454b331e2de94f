import type { Clock } from '../../../src/clock/clock.js';
import type { HttpClientConnection, HttpServerConnection } from '../../../src/http/connection.js';
import { startH2Client } from '../../../src/http/h2/client.js';
import type { ByteCarrierHandler } from '../../../src/http/h2/frames/byte-carrier.js';
import { clientLimits, serverLimits } from '../../../src/http/h2/limits.js';
import { startH2Server } from '../../../src/http/h2/server.js';
import type { SocketAddress } from '../../../src/quic/address.js';
import type { TcpSocket, TcpSocketHandler, TcpSockets } from '../../../src/quic/tcp-socket.js';
import { createSharedRoom } from '../../../src/quic/write-gauge.js';
import type { Capabilities, PairRequest } from '../conformance/pair.js';

export const h2Capabilities: Capabilities = {
  nativeDatagrams: false,
  halfClose: true,
  multiplex: true,
  resetCodes: true,
  connectKind: true,
  earlyContent: true,
  ping: true,
  breakable: true,
  streamLimit: true,
};

export interface H2World {
  readonly clock: Clock;
  readonly server: Pick<TcpSockets, 'listen'>;
  readonly client: Pick<TcpSockets, 'connect'>;
  readonly local: SocketAddress;
  /** False leaves the engine's own sessions aside. */
  readonly native?: boolean;
}

let ids = 0;

/** A handler for a socket whose real one is made with it. */
function late(): TcpSocketHandler & { target: ByteCarrierHandler | undefined } {
  const made: TcpSocketHandler & { target: ByteCarrierHandler | undefined } = {
    target: undefined,
    data: (bytes, start, end) => made.target?.data(bytes, start, end),
    end: () => made.target?.end(),
    drain: () => made.target?.drain(),
    closed: (end) => made.target?.closed(end),
  };
  return made;
}

/** The socket as one of an engine that has no sessions of HTTP/2. */
export const withoutSessions = (socket: TcpSocket): Omit<TcpSocket, 'http2'> => ({
  localAddress: socket.localAddress,
  remoteAddress: socket.remoteAddress,
  get buffered() {
    return socket.buffered;
  },
  grant: (bytes) => socket.grant(bytes),
  write: (bytes, start, end) => socket.write(bytes, start, end),
  end: () => socket.end(),
  reset: () => socket.reset(),
  statistics: () => socket.statistics(),
});

/** An HTTP/2 connection over plain TCP of any engine. */
export async function connectH2(
  world: H2World,
  request: PairRequest,
  happen: <Result>(pending: Promise<Result>) => Promise<Result> = (pending) => pending,
): Promise<{
  readonly client: HttpClientConnection;
  readonly server: () => HttpServerConnection | undefined;
  /** Resets the server's socket. */
  cut(): void;
  close(): Promise<void>;
}> {
  const { clock } = world;
  let server: HttpServerConnection | undefined;
  let accepted: TcpSocket | undefined;
  const carrier = (socket: TcpSocket) => (world.native === false ? withoutSessions(socket) : socket);
  const listener = await world.server.listen({ local: world.local }, (socket) => {
    accepted = socket;
    const { localAddress, remoteAddress } = socket;
    const { connection, socketHandler } = startH2Server(
      carrier(socket),
      { id: ++ids, localAddress, remoteAddress, serverName: undefined, peerCertificates: [] },
      {
        clock,
        limits: { ...serverLimits, ...(request.maxStreams && { maxStreams: request.maxStreams }) },
        requestHeadTimeout: 20_000,
        altSvc: undefined,
        room: createSharedRoom(),
      },
      request.accept,
    );
    server = connection;
    return socketHandler;
  });
  const handler = late();
  const dial = async (): Promise<HttpClientConnection> => {
    const socket = await world.client.connect(
      { remote: listener.localAddress },
      handler,
      new AbortController().signal,
    );
    return new Promise((resolve, reject) => {
      const { connection, socketHandler } = startH2Client(
        carrier(socket),
        { remoteAddress: listener.localAddress, clock, limits: clientLimits },
        request.client,
        (failure) => {
          if (failure) reject(new Error(failure.detail));
          else queueMicrotask(() => resolve(connection));
        },
      );
      handler.target = socketHandler;
    });
  };
  const client = await happen(dial());
  return {
    client,
    server: () => server,
    cut: () => accepted?.reset(),
    async close() {
      const closing = client.close();
      await happen(closing);
      listener.close();
    },
  };
}
