import { systemClock } from '../../src/clock/system-clock.js';
import type { HttpServerConnection } from '../../src/http/connection.js';
import { acceptH3 } from '../../src/http/h3/server.js';
import { tunnelTransport } from '../../src/http/h3/tunnel-transport.js';
import { listenTcp } from '../../src/http/tcp/listener.js';
import type { ServerStream, TunnelStreamHandler } from '../../src/http/tunnel-stream.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import type { QuicAccept, QuicConnection } from '../../src/quic/connection.js';
import type { QuicEngine, QuicListener } from '../../src/quic/engine.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { createHttpDriver } from '../../src/upstream/http-driver.js';
import type { UpstreamOrigin, UpstreamTarget } from '../../src/upstream/target.js';
import type { TransportDriver } from '../../src/upstream/transport.js';
import { testCertificate } from '../http/tcp/certificate.js';
import { watchAccepted } from '../http/tcp/raw-sockets.js';
import type { PeerStream, TransportPeer } from './transport-peer.js';

/** A connection as a real hop has it. */
export interface HopConnection extends TransportPeer {
  readonly server: HttpServerConnection;
  /** The QUIC connection below, on HTTP/3. */
  readonly quic: QuicConnection | undefined;
  /** Ends it without an orderly word (TCP only). */
  reset(): void;
}

/** A next hop on loopback, one port for UDP and TCP, with the way to it. */
export interface RealHop {
  readonly origin: UpstreamOrigin;
  readonly driver: TransportDriver;
  readonly connections: HopConnection[];
  /** Answers requests by itself when set. */
  onRequest: ((stream: ServerStream) => TunnelStreamHandler) | undefined;
  target(version: HttpVersion, changes?: Partial<UpstreamTarget>): UpstreamTarget;
  close(): Promise<void>;
}

export interface HopOptions {
  readonly versions?: readonly HttpVersion[];
  /** Streams that it lets be open on a connection. */
  readonly maxStreams?: number;
}

const none = new Uint8Array(0);
const certificate = testCertificate();

function peerStream(stream: ServerStream): PeerStream & { readonly handler: TunnelStreamHandler } {
  const bytes: Uint8Array[] = [];
  const datagrams: Uint8Array[] = [];
  let ended = false;
  let over = false;
  let held = 0;
  const peer: PeerStream & { readonly handler: TunnelStreamHandler } = {
    request: stream.request,
    datagrams,
    stalled: false,
    get bytes() {
      return Buffer.concat(bytes);
    },
    get ended() {
      return ended;
    },
    get over() {
      return over;
    },
    inform: (status) => stream.inform({ status, fields: [] }),
    respond: (status = 200) => stream.respond({ status, fields: [] }),
    write(text) {
      const content = Buffer.from(text);
      stream.write(content, 0, content.length);
    },
    end: () => stream.end(),
    datagram(text) {
      const content = Buffer.from(text);
      stream.sendDatagram(none, content, 0, content.length);
    },
    reset: (reason) => stream.reset(reason),
    resume() {
      peer.stalled = false;
      stream.grant(held);
      held = 0;
    },
    handler: {
      data(from, start, end) {
        bytes.push(from.slice(start, end));
        if (peer.stalled) held += end - start;
        else stream.grant(end - start);
      },
      end() {
        ended = true;
      },
      datagram: (from, start, end) => void datagrams.push(from.slice(start, end)),
      drain: () => undefined,
      closed() {
        over = true;
      },
    },
  };
  stream.grant(256 * 1024);
  return peer;
}

/** Opens a hop; the versions share its port. */
export async function openHop(options: HopOptions = {}): Promise<RealHop> {
  const { versions = ['h3', 'h2', 'h1'], maxStreams } = options;
  const engines: QuicEngine[] = [];
  const engine = (): QuicEngine => {
    const made = createNativeEngine();
    engines.push(made);
    return made;
  };
  const accepted = watchAccepted(engine());
  const connections: HopConnection[] = [];
  let ids = 0;
  let latestQuic: QuicConnection | undefined;
  const accept = (server: HttpServerConnection) => {
    const streams: PeerStream[] = [];
    connections.push({
      server,
      streams,
      quic: server.version === 'h3' ? latestQuic : undefined,
      drain: () => server.drain(),
      close: () => server.close('shutdown'),
      reset: () => accepted.find(server.remoteAddress)?.reset(),
    });
    return {
      request(stream: ServerStream): TunnelStreamHandler {
        if (hop.onRequest) return hop.onRequest(stream);
        const peer = peerStream(stream);
        streams.push(peer);
        return peer.handler;
      },
    };
  };
  const h3Accept = acceptH3({ clock: systemClock }, accept);
  const tapped: QuicAccept = (quic) => {
    latestQuic = quic;
    return h3Accept(quic);
  };
  const openTcp = () =>
    listenTcp(
      {
        engine: accepted,
        local: { address: '127.0.0.1', port: 0 },
        tls: {
          certificates: [certificate],
          alpn: versions.includes('h2') ? ['h2', 'http/1.1'] : ['http/1.1'],
        },
        clock: systemClock,
        nextConnectionId: () => ++ids,
        ...(maxStreams === undefined ? {} : { h2: { maxStreams } }),
      },
      accept,
    );
  const openUdp = (port: number) =>
    engine().listen(
      {
        local: { address: '127.0.0.1', port },
        tls: { certificates: [certificate], alpn: ['h3'] },
        transport: {
          ...tunnelTransport,
          ...(maxStreams === undefined ? {} : { maxBidirectionalStreams: maxStreams }),
        },
      },
      tapped,
    );
  let tcp = await openTcp();
  let udp: QuicListener | undefined;
  // A port that is free for TCP may be taken for UDP by somebody else's socket.
  for (let attempt = 1; versions.includes('h3') && !udp; attempt++) {
    try {
      udp = await openUdp(tcp.localAddress.port);
    } catch (error) {
      await tcp.close();
      if (attempt === 20) throw error;
      tcp = await openTcp();
    }
  }
  const { port } = tcp.localAddress;
  const client = engine();
  const origin: UpstreamOrigin = {
    host: '127.0.0.1',
    port,
    tls: { trust: { mode: 'ca', ca: certificate.cert } },
  };
  const hop: RealHop = {
    origin,
    connections,
    onRequest: undefined,
    driver: createHttpDriver({
      clock: systemClock,
      engine: () => client,
      resolve: async () => ['127.0.0.1'],
      handshakeTimeout: 5_000,
    }),
    target: (version, changes = {}) => ({ ...origin, version, ...changes }),
    async close() {
      udp?.stopAccepting();
      await tcp.close();
      await Promise.all(engines.map((one) => one.close()));
    },
  };
  return hop;
}

/** Waits, at most for seconds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
