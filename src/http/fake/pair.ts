import type { Clock } from '../../clock/clock.js';
import type { SocketAddress } from '../../quic/address.js';
import type { QuicTransportOptions } from '../../quic/engine.js';
import { createEnd } from '../../quic/simulated/connection.js';
import { createLink, type LinkConditions } from '../../quic/simulated/link.js';
import { seededRandom } from '../../quic/simulated/random.js';
import { createScheduler } from '../../quic/simulated/scheduler.js';
import { transportOf } from '../../quic/simulated/transport.js';
import type {
  HttpAccept,
  HttpClientConnection,
  HttpClientConnectionHandler,
  HttpServerConnection,
  PeerSettings,
} from '../connection.js';
import type { ServerStream } from '../tunnel-stream.js';
import { createFakeClient } from './client.js';
import { createFakeServer } from './server.js';
import type { FakeVersion } from './session.js';

export interface FakePairOptions {
  readonly clock: Clock;
  readonly accept: HttpAccept;
  readonly client?: HttpClientConnectionHandler;
  /** Whose codes it speaks; default `h3`. */
  readonly version?: FakeVersion;
  /** Default true on `h3`, false on `h2`. */
  readonly nativeDatagrams?: boolean;
  /** What the client sees of the peer's other settings. */
  readonly settings?: Partial<Pick<PeerSettings, 'extendedConnect' | 'maxStreams'>>;
  /** Streams that may be open at once; default 1,024. */
  readonly maxStreams?: number;
  readonly transport?: QuicTransportOptions;
  readonly conditions?: Partial<LinkConditions>;
  readonly seed?: number;
  readonly serverName?: string;
  /** What the server sees of the client's certificate. */
  readonly clientCertificates?: readonly Uint8Array[];
  /** Default 1; the server's connection gets the next one. */
  readonly connectionId?: number;
  readonly remote?: SocketAddress;
  readonly local?: SocketAddress;
}

/** Two ends of an HTTP connection in memory, up at once. */
export interface FakePair {
  readonly client: HttpClientConnection;
  readonly server: HttpServerConnection;
  set(conditions: Partial<LinkConditions>): void;
  /** Nothing arrives any more, in silence. */
  cut(): void;
  restore(): void;
  /** The server's machine forgets everything: the client's next packet is answered with a reset. */
  crashServer(): void;
  /** The server wants no more of this request, but goes on answering. */
  stopPeer(stream: ServerStream): void;
}

const streamReceiveWindow = 256 * 1024;

const perfect: LinkConditions = {
  latency: 1,
  jitter: 0,
  loss: 0,
  reorder: 0,
  mtu: 1350,
  bandwidth: undefined,
};

/**
 * An HTTP connection for the tests of the rooms above: the tunnel stream with all its promises, over the
 * simulated QUIC of `src/quic/simulated`, with heads as plain values instead of HTTP on the wire. Everything
 * is told by the clock's timers, never synchronously.
 */
export function createFakePair(options: FakePairOptions): FakePair {
  const { clock, version = 'h3', connectionId = 1 } = options;
  const scheduler = createScheduler(clock);
  const link = createLink(scheduler, seededRandom(options.seed ?? 1), { ...perfect, ...options.conditions });
  const datagrams = options.nativeDatagrams ?? version === 'h3';
  const remote = options.remote ?? { address: '192.0.2.1', port: 443 };
  const local = options.local ?? { address: '192.0.2.2', port: 50_000 };
  const maxStreams = options.maxStreams ?? 1024;
  // Room for every stream to stall without taking another's (the connection's window is all of theirs).
  const transport = transportOf(
    { streamReceiveWindow, receiveWindow: maxStreams * streamReceiveWindow },
    options.transport,
    { maxBidirectionalStreams: maxStreams },
  );
  const soon = (run: () => void): void => scheduler.after(0, run);
  const common = {
    alpn: version,
    serverName: options.serverName,
    transport,
    firstCredit: 0,
    gone: () => undefined,
  };

  const clientEnd = createEnd(clock, scheduler, link, {
    ...common,
    id: connectionId,
    byClient: true,
    host: 'client',
    local,
    remote,
    peerCertificates: [],
  });
  const serverEnd = createEnd(clock, scheduler, link, {
    ...common,
    id: connectionId + 1,
    byClient: false,
    host: 'server',
    local: remote,
    remote: local,
    peerCertificates: options.clientCertificates ?? [],
  });
  clientEnd.join(serverEnd);
  serverEnd.join(clientEnd);
  const server = createFakeServer(serverEnd.face, { version, datagrams, soon }, options.accept);
  serverEnd.up(server.quicHandler);
  const settings: PeerSettings = { extendedConnect: true, maxStreams, ...options.settings, datagrams };
  const client = createFakeClient(
    clientEnd.face,
    { version, settings, now: clock.now, soon },
    options.client ?? {},
  );
  clientEnd.up(client.quicHandler);

  return {
    client: client.connection,
    server: server.connection,
    set(conditions) {
      Object.assign(link.conditions, conditions);
      if (conditions.mtu === undefined) return;
      soon(() => {
        clientEnd.pathMtu(link.conditions.mtu);
        serverEnd.pathMtu(link.conditions.mtu);
      });
    },
    cut: () => link.cut('server'),
    restore: () => link.restore('server'),
    crashServer: serverEnd.vanish,
    stopPeer: server.stopPeer,
  };
}
