import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  ConnectionClose,
  HttpClientConnection,
  HttpServerConnection,
} from '../../../src/http/connection.js';
import type { RequestHead } from '../../../src/http/request.js';
import type {
  ClientStreamHandler,
  ServerStream,
  TunnelStream,
  TunnelStreamHandler,
} from '../../../src/http/tunnel-stream.js';
import type { Capabilities, Implementation, Pair } from './pair.js';
import { createRecorder, type Recorder } from './recorder.js';

export interface ClientSide {
  readonly stream: TunnelStream;
  readonly seen: Recorder;
}

export interface ServerSide {
  readonly stream: ServerStream;
  readonly seen: Recorder;
}

/** One connection under test, and the ways to look at it. */
export interface Bench {
  readonly supports: Capabilities;
  readonly pair: Pair;
  readonly client: HttpClientConnection;
  readonly server: HttpServerConnection;
  readonly clientEvents: string[];
  readonly serverClose: ConnectionClose | undefined;
  readonly clientClose: ConnectionClose | undefined;
  /** Requests that no test part has taken yet. */
  readonly waiting: ServerSide[];
  /** When set, it answers requests instead of `nextRequest`. */
  onRequest: ((stream: ServerStream) => TunnelStreamHandler) | undefined;
  open(head?: RequestHead, handler?: ClientStreamHandler): ClientSide;
  nextRequest(): Promise<ServerSide>;
  /** A stream that was answered with 200; `credit` for both sides. */
  tunnel(credit?: number): Promise<{ readonly client: ClientSide; readonly server: ServerSide }>;
  /** Waits, at most for seconds. */
  until(condition: () => boolean, what: string): Promise<void>;
  /** Lets whatever would happen happen. */
  quiet(): Promise<void>;
}

export const extendedHead: RequestHead = {
  kind: 'extended',
  protocol: 'connect-udp',
  scheme: 'https',
  authority: 'proxy.test',
  path: '/.well-known/masque/udp/192.0.2.6/443/',
  fields: [['capsule-protocol', '?1']],
};
/** Classic CONNECT: its content is raw bytes (RFC 9110 section 9.3.6). */
export const connectHead: RequestHead = { kind: 'connect', authority: '192.0.2.6:443', fields: [] };
export const ok = { status: 200, fields: [] } as const;
export const plenty = 1 << 30;

const patience = 60_000;
const testTimeout = 120_000;
const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

async function createBench(
  implementation: Implementation,
  usualHead: RequestHead,
  maxStreams: number | undefined,
): Promise<Bench> {
  const waiting: ServerSide[] = [];
  const clientEvents: string[] = [];
  let server: HttpServerConnection | undefined;
  let serverClose: ConnectionClose | undefined;
  let clientClose: ConnectionClose | undefined;

  const pair = await implementation.createPair({
    ...(maxStreams === undefined ? {} : { maxStreams }),
    accept(connection) {
      server = connection;
      return {
        request(stream) {
          if (bench.onRequest) return bench.onRequest(stream);
          const seen = createRecorder();
          waiting.push({ stream, seen });
          return seen;
        },
        closed(close) {
          assert.equal(serverClose, undefined, 'the server connection is told closed once');
          serverClose = close;
        },
      };
    },
    client: {
      draining: () => clientEvents.push('draining'),
      closed(close) {
        assert.equal(clientClose, undefined, 'the client connection is told closed once');
        clientEvents.push('closed');
        clientClose = close;
      },
    },
  });

  const until = async (condition: () => boolean, what: string): Promise<void> => {
    const deadline = performance.now() + patience;
    while (!condition()) {
      if (performance.now() > deadline) assert.fail(`waited in vain: ${what}`);
      if (pair.settle) await pair.settle();
      else await pause(1);
    }
  };
  await until(() => server !== undefined, 'the server sees the connection');

  const bench: Bench = {
    supports: implementation.supports,
    pair,
    client: pair.client,
    get server() {
      if (!server) throw new Error('the server saw no connection');
      return server;
    },
    clientEvents,
    get serverClose() {
      return serverClose;
    },
    get clientClose() {
      return clientClose;
    },
    waiting,
    onRequest: undefined,
    open(head = usualHead, handler) {
      const seen = createRecorder();
      return { stream: pair.client.open(head, handler ?? seen), seen };
    },
    async nextRequest() {
      await until(() => waiting.length > 0, 'the server sees the request');
      const next = waiting.shift();
      if (!next) throw new Error('no request');
      return next;
    },
    async tunnel(credit = plenty) {
      const client = bench.open();
      const side = await bench.nextRequest();
      side.stream.respond(ok);
      await until(() => client.seen.head !== undefined, 'the response arrives');
      if (credit > 0) {
        client.stream.grant(credit);
        side.stream.grant(credit);
      }
      return { client, server: side };
    },
    until,
    async quiet() {
      if (!pair.settle) await pause(40);
      else for (let round = 0; round < 3; round++) await pair.settle();
    },
  };
  return bench;
}

export interface TestOptions {
  readonly maxStreams?: number;
  /** Why it does not apply to this implementation; undefined where it does. */
  readonly skip?: string | false | undefined;
}

/** Defines one test of the suite, which runs on a connection of its own. */
export type DefineTest = (
  title: string,
  body: (bench: Bench) => Promise<void>,
  options?: TestOptions,
) => void;

/** Tests whose streams are opened with `usualHead` where they do not say otherwise. */
export function conformanceTests(
  implementation: Implementation,
  usualHead: RequestHead = extendedHead,
): DefineTest {
  const name = usualHead.kind === 'connect' ? `classic CONNECT, ${implementation.name}` : implementation.name;
  return (title, body, options = {}) => {
    const settings = options.skip
      ? { timeout: testTimeout, skip: `${name}: ${options.skip}` }
      : { timeout: testTimeout };
    test(`${title} (${name})`, settings, async () => {
      const bench = await createBench(implementation, usualHead, options.maxStreams);
      try {
        await body(bench);
      } finally {
        await bench.pair.close();
      }
    });
  };
}

/** Bytes that differ everywhere, so that a shifted or repeated piece shows. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0 || 1;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

export function writeAll(stream: TunnelStream, bytes: Uint8Array): boolean {
  return stream.write(bytes, 0, bytes.length);
}
