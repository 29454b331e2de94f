import type { QuicCloseReason, QuicConnection, QuicConnectionHandler } from '../../src/quic/connection.js';
import type {
  QuicConnectOptions,
  QuicEngine,
  QuicListener,
  QuicListenOptions,
} from '../../src/quic/engine.js';
import { selfSigned, spkiPin } from '../../src/quic/native/index.js';
import type { QuicStream, QuicStreamHandler } from '../../src/quic/stream.js';

export const serverPair = selfSigned(['localhost', '127.0.0.1', '::1'], 30);

/** Records what a stream tells, and lets a test wait for it. */
export interface StreamLog extends QuicStreamHandler {
  readonly events: string[];
  readonly bytes: () => Buffer;
  /** Resolves once the list of events contains this one. */
  until(event: string): Promise<void>;
}

/** A list of events that can be waited for. */
export function createLog(): {
  events: string[];
  push(event: string): void;
  until(event: string): Promise<void>;
} {
  const events: string[] = [];
  const waiting = new Map<string, (() => void)[]>();
  return {
    events,
    push(event) {
      events.push(event);
      for (const resolve of waiting.get(event) ?? []) resolve();
      waiting.delete(event);
    },
    until(event) {
      if (events.includes(event)) return Promise.resolve();
      return new Promise((resolve) => waiting.set(event, [...(waiting.get(event) ?? []), resolve]));
    },
  };
}

export function streamLog(): StreamLog {
  const log = createLog();
  const chunks: Buffer[] = [];
  return {
    events: log.events,
    bytes: () => Buffer.concat(chunks),
    until: log.until,
    opened: (id) => log.push(`opened ${id}`),
    data(bytes, start, end) {
      chunks.push(Buffer.from(bytes.subarray(start, end)));
      log.push('data');
    },
    end: () => log.push('end'),
    reset: (code) => log.push(`reset ${code}`),
    stopped: (code) => log.push(`stopped ${code}`),
    drain: () => log.push('drain'),
    lost: () => log.push('lost'),
  };
}

/** One side of a connection, with what it was told. */
export interface Side {
  readonly connection: QuicConnection;
  readonly streams: { readonly stream: QuicStream; readonly log: StreamLog }[];
  readonly datagrams: Buffer[];
  readonly log: ReturnType<typeof createLog>;
  readonly closed: Promise<QuicCloseReason>;
}

export interface SideOptions {
  /** Credit given to each stream of the peer at once. */
  readonly credit?: number;
  readonly onDatagram?: (bytes: Uint8Array, start: number, end: number, connection: QuicConnection) => void;
  readonly onStream?: (stream: QuicStream) => QuicStreamHandler;
}

export function side(
  connection: QuicConnection,
  options: SideOptions = {},
): { side: Side; handler: QuicConnectionHandler } {
  const log = createLog();
  const streams: Side['streams'] = [];
  const datagrams: Buffer[] = [];
  let close: (reason: QuicCloseReason) => void = () => undefined;
  const closed = new Promise<QuicCloseReason>((resolve) => {
    close = resolve;
  });
  const handler: QuicConnectionHandler = {
    stream(stream) {
      if (options.onStream) return options.onStream(stream);
      const entry = { stream, log: streamLog() };
      streams.push(entry);
      if (options.credit) stream.grant(options.credit);
      log.push(`stream ${stream.id}`);
      return entry.log;
    },
    datagram(bytes, start, end) {
      if (options.onDatagram) options.onDatagram(bytes, start, end, connection);
      else {
        datagrams.push(Buffer.from(bytes.subarray(start, end)));
        log.push(`datagrams ${datagrams.length}`);
      }
    },
    maxDatagramSize: (size) => log.push(`max ${size}`),
    migrated: () => log.push('migrated'),
    closed(reason) {
      log.push('closed');
      close(reason);
    },
  };
  return { side: { connection, streams, datagrams, log, closed }, handler };
}

export interface Pair {
  readonly listener: QuicListener;
  readonly server: Side;
  readonly client: Side;
}

export interface PairOptions {
  readonly listen?: Partial<QuicListenOptions>;
  readonly connect?: Partial<QuicConnectOptions>;
  readonly server?: SideOptions;
  readonly client?: SideOptions;
  readonly signal?: AbortSignal;
}

/** A signal that never aborts. */
export const never: AbortSignal = new AbortController().signal;

/** Client options for a server with `serverPair`. */
export function clientTls(): QuicConnectOptions['tls'] {
  return {
    serverName: 'localhost',
    alpn: ['test'],
    trust: { mode: 'pin', pins: [spkiPin(serverPair.cert)] },
  };
}

/** A listener that takes `count` connections. */
export async function listening(
  engine: QuicEngine,
  options: Partial<QuicListenOptions> = {},
  sideOptions: SideOptions = {},
): Promise<{ listener: QuicListener; accepted: Side[]; next: () => Promise<Side> }> {
  const accepted: Side[] = [];
  const waiting: ((side: Side) => void)[] = [];
  let taken = 0;
  const listener = await engine.listen(
    {
      local: { address: '127.0.0.1', port: 0 },
      tls: { certificates: [serverPair], alpn: ['test'] },
      ...options,
    },
    (connection) => {
      const made = side(connection, sideOptions);
      accepted.push(made.side);
      waiting.shift()?.(made.side);
      return made.handler;
    },
  );
  const next = (): Promise<Side> => {
    const ready = accepted[taken++];
    return ready ? Promise.resolve(ready) : new Promise((resolve) => waiting.push(resolve));
  };
  return { listener, accepted, next };
}

export async function connectTo(
  engine: QuicEngine,
  listener: QuicListener,
  options: Partial<QuicConnectOptions> = {},
  sideOptions: SideOptions = {},
  signal: AbortSignal = never,
): Promise<Side> {
  let made: ReturnType<typeof side> | undefined;
  await engine.connect(
    { remote: listener.localAddress, tls: clientTls(), ...options },
    (connection) => {
      made = side(connection, sideOptions);
      return made.handler;
    },
    signal,
  );
  if (!made) throw new Error('connected without accept');
  return made.side;
}

/** A server and a client, connected. */
export async function connectPair(engine: QuicEngine, options: PairOptions = {}): Promise<Pair> {
  const { listener, next } = await listening(engine, options.listen, options.server);
  const client = await connectTo(engine, listener, options.connect, options.client, options.signal);
  return { listener, client, server: await next() };
}

export function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Waits until the condition holds; the test's own timeout bounds it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(2);
}

export const empty = new Uint8Array(0);
