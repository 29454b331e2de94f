import type { ConnectionClose, PeerSettings } from '../../src/http/connection.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import type {
  TransportConnection,
  TransportEvents,
  TransportStatistics,
  TransportStream,
} from '../../src/upstream/transport.js';
import { createFakeStream, type FakeStream } from './fake-stream.js';
import type { PeerStream, TransportPeer } from './transport-peer.js';

/** What a fake connection is like, and how it misbehaves; all may be changed while it runs. */
export interface FakeConditions {
  version: HttpVersion;
  settings: Partial<PeerSettings>;
  /** Streams that the peer lets be open at once before others wait (MAX_STREAMS); no limit without. */
  allowed: number | undefined;
  /** What `capacity` gives; may throw. */
  capacity: () => number | 'unlimited' | undefined;
  openThrows: Error | undefined;
  registerThrows: Error | undefined;
  /** Registering waits for this. */
  registering: Promise<void> | undefined;
  unregisterThrows: boolean;
  cancelThrows: boolean;
  closeThrows: boolean;
  /** The close never ends. */
  closeHangs: boolean;
  /** The peer answers no PING. */
  silent: boolean;
  statistics: TransportStatistics | undefined;
}

export interface FakeTransport {
  readonly connection: TransportConnection;
  readonly peer: TransportPeer;
  readonly conditions: FakeConditions;
  /** How often each was called. */
  readonly calls: { close: number; cancel: number; unregister: number; register: number; open: number };
  /** Whom it tells; a test may tell lies. */
  readonly events: TransportEvents | undefined;
  /** Streams that have no outcome. */
  readonly openStreams: number;
  readonly closed: boolean;
  /** The connection is gone without an orderly word. */
  lose(close?: Partial<ConnectionClose>): void;
  /** A later SETTINGS frame. */
  changeSettings(settings: Partial<PeerSettings>): void;
  /** MAX_STREAMS: streams that wait are opened. */
  allow(streams: number | undefined): void;
}

/** A connection that implements the transport interface, and nothing else; both its ends are the test's. */
export function createFakeTransport(id: number, given: Partial<FakeConditions> = {}): FakeTransport {
  const settings: { -readonly [K in keyof PeerSettings]: PeerSettings[K] } = {
    extendedConnect: true,
    datagrams: given.version !== 'h2' && given.version !== 'h1',
    maxStreams: undefined,
    ...given.settings,
  };
  const conditions: FakeConditions = {
    version: 'h3',
    allowed: undefined,
    capacity: () => settings.maxStreams,
    openThrows: undefined,
    registerThrows: undefined,
    registering: undefined,
    unregisterThrows: false,
    cancelThrows: false,
    closeThrows: false,
    closeHangs: false,
    silent: false,
    statistics: undefined,
    ...given,
    settings,
  };
  const calls = { close: 0, cancel: 0, unregister: 0, register: 0, open: 0 };
  const streams = new Map<number, FakeStream>();
  const peers: PeerStream[] = [];
  const waiting: { readonly handle: number; readonly stream: FakeStream }[] = [];
  let events: TransportEvents | undefined;
  let draining = false;
  let closed: ConnectionClose | undefined;
  let nextHandle = 1_000 * id;
  let nextId = 0;
  let opened = 0;

  const end = (close: ConnectionClose): void => {
    if (closed) return;
    closed = close;
    for (const stream of [...streams.values()]) {
      stream.finish({ kind: 'lost', reason: close.reason, detail: close.detail });
    }
    events?.closed(connection, close);
  };
  const openWaiting = (): void => {
    while (
      !closed &&
      waiting.length > 0 &&
      (conditions.allowed === undefined || opened < conditions.allowed)
    ) {
      const next = waiting.shift();
      if (!next || next.stream.outcome) continue;
      opened += 1;
      next.stream.open(nextId);
      nextId += 4;
      events?.opened(connection, next.handle);
    }
  };

  const connection: TransportConnection = {
    version: conditions.version,
    id,
    remoteAddress: { address: '192.0.2.1', port: 443 },
    get settings() {
      return settings;
    },
    get usable() {
      return !draining && !closed;
    },
    capacity: () => conditions.capacity(),
    listen(given) {
      events = given;
      if (draining) given.draining(connection);
      if (closed) given.closed(connection, closed);
    },
    openStream(head): TransportStream {
      calls.open += 1;
      if (conditions.openThrows) throw conditions.openThrows;
      if (closed) throw new Error('the connection is closed');
      const handle = nextHandle++;
      const stream = createFakeStream(head, {
        version: conditions.version,
        datagrams: settings.datagrams,
        informational: (head) => events?.informational(connection, handle, head),
        response: (head) => events?.response(connection, handle, head),
        datagram: (bytes) => events?.datagram(connection, handle, bytes, 0, bytes.length),
        closed(outcome) {
          streams.delete(handle);
          if (stream.tunnel.id >= 0) opened -= 1;
          events?.streamClosed(connection, handle, outcome);
          openWaiting();
        },
      });
      streams.set(handle, stream);
      peers.push(stream.peer);
      if (conditions.allowed === undefined || opened < conditions.allowed) {
        opened += 1;
        stream.open(nextId);
        nextId += 4;
      } else waiting.push({ handle, stream });
      return { handle, tunnel: stream.tunnel };
    },
    register({ handle }, content) {
      calls.register += 1;
      if (conditions.registerThrows) throw conditions.registerThrows;
      const stream = streams.get(handle);
      if (stream) stream.content = content;
      return conditions.registering;
    },
    unregister({ handle }) {
      calls.unregister += 1;
      if (conditions.unregisterThrows) throw new Error('unregister fails');
      const stream = streams.get(handle);
      if (stream) stream.content = undefined;
    },
    cancel(stream) {
      calls.cancel += 1;
      if (conditions.cancelThrows) throw new Error('cancel fails');
      stream.tunnel.reset('cancelled');
    },
    async close() {
      calls.close += 1;
      if (conditions.closeThrows) throw new Error('close fails');
      if (conditions.closeHangs) await new Promise(() => undefined);
      end({ reason: 'closed', code: 0, detail: '' });
    },
    ping(signal) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) reject(signal.reason);
        else if (closed) reject(new Error('the connection is closed'));
        else if (!conditions.silent) resolve(1);
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    },
    statistics: () => Promise.resolve(conditions.statistics),
  };

  return {
    connection,
    conditions,
    calls,
    peer: {
      streams: peers,
      drain() {
        if (draining) return;
        draining = true;
        events?.draining(connection);
      },
      close: () => end({ reason: 'peer-closed', code: 0, detail: 'closed by the peer' }),
    },
    get events() {
      return events;
    },
    get openStreams() {
      return streams.size;
    },
    get closed() {
      return closed !== undefined;
    },
    lose: (close) => end({ reason: 'timeout', code: undefined, detail: 'nothing was heard', ...close }),
    changeSettings(changed) {
      Object.assign(settings, changed);
      events?.settings(connection);
    },
    allow(streams) {
      conditions.allowed = streams;
      openWaiting();
    },
  };
}
