import { after, type TestContext } from 'node:test';
import { systemClock } from '../../../src/clock/system-clock.js';
import type {
  HttpClientConnection,
  HttpClientConnectionHandler,
  HttpServerConnection,
} from '../../../src/http/connection.js';
import { dialH1 } from '../../../src/http/h1/dial.js';
import { dialH2 } from '../../../src/http/h2/dial.js';
import type { ResponseHead } from '../../../src/http/request.js';
import { listenTcp, type TcpListener, type TcpListenOptions } from '../../../src/http/tcp/listener.js';
import type {
  ClientStreamHandler,
  ServerStream,
  StreamOutcome,
  TunnelStream,
} from '../../../src/http/tunnel-stream.js';
import type { SocketAddress } from '../../../src/quic/address.js';
import type { QuicEngine } from '../../../src/quic/engine.js';
import { createNativeEngine } from '../../../src/quic/native/index.js';
import type { ClientTls } from '../../../src/quic/tls.js';
import { testCertificate } from './certificate.js';

/** What a stream told, kept for the assertions; it grants all credit unless told otherwise. */
export interface Recorder extends ClientStreamHandler {
  readonly bytes: () => Buffer;
  readonly informed: ResponseHead[];
  readonly responses: ResponseHead[];
  ends: number;
  drains: number;
  outcome: StreamOutcome | undefined;
  readonly responded: Promise<ResponseHead>;
  readonly ended: Promise<void>;
}

export function recorder(): Recorder {
  const chunks: Buffer[] = [];
  let onResponse: (head: ResponseHead) => void = () => undefined;
  let onEnd: () => void = () => undefined;
  const made: Recorder = {
    bytes: () => Buffer.concat(chunks),
    informed: [],
    responses: [],
    ends: 0,
    drains: 0,
    outcome: undefined,
    responded: new Promise((resolve) => {
      onResponse = resolve;
    }),
    ended: new Promise((resolve) => {
      onEnd = resolve;
    }),
    informational: (head) => void made.informed.push(head),
    response(head) {
      made.responses.push(head);
      onResponse(head);
    },
    data: (bytes, start, end) => void chunks.push(Buffer.from(bytes.subarray(start, end))),
    end() {
      made.ends += 1;
      onEnd();
    },
    datagram: () => undefined,
    drain() {
      made.drains += 1;
    },
    closed(outcome) {
      made.outcome = outcome;
    },
  };
  return made;
}

export interface Served {
  readonly listener: TcpListener;
  readonly streams: { readonly stream: ServerStream; readonly seen: Recorder }[];
  readonly connections: HttpServerConnection[];
}

export const certificate = testCertificate();

export const clientTls: ClientTls = {
  serverName: 'localhost',
  alpn: [],
  trust: { mode: 'ca', ca: certificate.cert },
};

/** For all listeners and dials of a test file. */
export const engine = createNativeEngine();
after(() => engine.close());

let ids = 0;

/** A listener on loopback; `answer` is called for each request after it was noted. */
export async function serve(
  t: TestContext,
  answer: (stream: ServerStream, seen: Recorder) => void,
  options: Partial<TcpListenOptions> = {},
): Promise<Served> {
  const served: Omit<Served, 'listener'> = { streams: [], connections: [] };
  const listener = await listenTcp(
    {
      engine,
      local: { address: '127.0.0.1', port: 0 },
      tls: { certificates: [certificate], alpn: ['h2', 'http/1.1'] },
      clock: systemClock,
      nextConnectionId: () => ++ids,
      ...options,
    },
    (connection) => {
      served.connections.push(connection);
      return {
        request(stream) {
          const seen = recorder();
          served.streams.push({ stream, seen });
          queueMicrotask(() => answer(stream, seen));
          return seen;
        },
      };
    },
  );
  t.after(() => listener.close());
  return { ...served, listener };
}

/** Echoes every byte until the client's end. */
export function echo(stream: ServerStream, seen: Recorder): void {
  seen.data = (bytes, start, end) => {
    stream.write(bytes, start, end);
    stream.grant(end - start);
  };
  seen.end = () => stream.end();
  stream.respond({ status: 200, fields: [] });
  stream.grant(1_000_000);
}

export async function dialHttp2(
  t: TestContext,
  remote: SocketAddress,
  handler: HttpClientConnectionHandler = {},
): Promise<HttpClientConnection> {
  const connection = await dialH2(
    undefined,
    { remote, tls: clientTls, clock: systemClock },
    handler,
    AbortSignal.timeout(60_000),
  );
  t.after(() => connection.close());
  return connection;
}

export async function dialHttp1(
  t: TestContext,
  remote: SocketAddress,
  handler: HttpClientConnectionHandler = {},
  over: QuicEngine | undefined = undefined,
): Promise<HttpClientConnection> {
  const connection = await dialH1(
    over,
    { remote, tls: clientTls, clock: systemClock },
    handler,
    AbortSignal.timeout(60_000),
  );
  t.after(() => connection.close());
  return connection;
}

export function send(stream: TunnelStream, text: string): boolean {
  const bytes = Buffer.from(text);
  return stream.write(bytes, 0, bytes.length);
}

export const extendedHead = {
  kind: 'extended',
  protocol: 'connect-udp',
  scheme: 'https',
  authority: 'localhost',
  path: '/.well-known/masque/udp/192.0.2.1/443/',
  fields: [['capsule-protocol', '?1']],
} as const;
