import { after, type TestContext } from 'node:test';
import { systemClock } from '../../../src/clock/system-clock.js';
import type {
  HttpClientConnection,
  HttpClientConnectionHandler,
  HttpServerConnection,
} from '../../../src/http/connection.js';
import { dialH2 } from '../../../src/http/h2/dial.js';
import { type H2Limits, serverLimits } from '../../../src/http/h2/limits.js';
import { startH2Server } from '../../../src/http/h2/server.js';
import type { ServerStream } from '../../../src/http/tunnel-stream.js';
import type { SocketAddress } from '../../../src/quic/address.js';
import { createNativeEngine } from '../../../src/quic/native/index.js';
import { createSharedRoom } from '../../../src/quic/write-gauge.js';
import { certificate, clientTls, type Recorder, recorder, type Served } from '../tcp/peers.js';
import { withoutSessions } from './conformance-pair.js';

const engine = createNativeEngine();
after(() => engine.close());

type Answer = (stream: ServerStream, seen: Recorder) => void;

/** What a test of the two sides needs of what is below them. */
export interface Ground {
  readonly name: string;
  serve(
    t: TestContext,
    answer: Answer,
    options?: { readonly h2?: Partial<H2Limits> },
  ): Promise<
    Pick<Served, 'streams' | 'connections'> & { readonly listener: { readonly localAddress: SocketAddress } }
  >;
  dial(
    t: TestContext,
    remote: SocketAddress,
    handler?: HttpClientConnectionHandler,
  ): Promise<HttpClientConnection>;
}

/** A server on TLS of the engine, with sessions of its own or in TypeScript, and a client with the same. */
const ground = (name: string, native: boolean): Ground => ({
  name,
  async serve(t, answer, { h2 = {} } = {}) {
    const streams: Served['streams'] = [];
    const connections: HttpServerConnection[] = [];
    const listener = await engine.tcp.listenSecure(
      { local: { address: '127.0.0.1', port: 0 }, tls: { certificates: [certificate], alpn: ['h2'] } },
      (socket) => {
        const { localAddress, remoteAddress, serverName, peerCertificates } = socket;
        const { socketHandler } = startH2Server(
          native ? socket : withoutSessions(socket),
          { id: connections.length + 1, localAddress, remoteAddress, serverName, peerCertificates },
          {
            clock: systemClock,
            limits: { ...serverLimits, ...h2 },
            requestHeadTimeout: 20_000,
            altSvc: undefined,
            room: createSharedRoom(),
          },
          (connection) => {
            connections.push(connection);
            return {
              request(stream) {
                const seen = recorder();
                streams.push({ stream, seen });
                queueMicrotask(() => answer(stream, seen));
                return seen;
              },
            };
          },
        );
        return socketHandler;
      },
    );
    t.after(() => {
      for (const connection of connections) connection.close('shutdown');
      listener.close();
    });
    return { streams, connections, listener };
  },
  async dial(t, remote, handler: HttpClientConnectionHandler = {}) {
    // Without the engine it is Node's TLS.
    const connection = await dialH2(
      native ? engine : undefined,
      { remote, tls: clientTls, clock: systemClock },
      handler,
      AbortSignal.timeout(60_000),
    );
    t.after(() => connection.close());
    return connection;
  },
});

export const grounds: readonly Ground[] = [ground('in TypeScript', false), ground('in the engine', true)];
