import { codeOf, type HttpVersion } from '../../protocol/reset-reason.js';
import { INCOMPLETE, readVarint, varintLength } from '../../protocol/varint.js';
import type { QuicConnection, QuicConnectionHandler } from '../../quic/connection.js';
import type { QuicStream, QuicStreamHandler } from '../../quic/stream.js';
import type { ConnectionClose } from '../connection.js';
import { createEarlyDatagrams, type EarlyDatagrams } from '../datagram-early.js';
import { closeOf } from '../h3/close-reason.js';
import { createFrameReader, sendFrame } from './frame.js';
import type { FakeStream } from './stream.js';

/** HTTP/1.1 has neither streams nor codes; the fake speaks as one of the others. */
export type FakeVersion = Exclude<HttpVersion, 'h1'>;

type Control =
  | { readonly type: 'goaway'; readonly from: number }
  | { readonly type: 'ping' | 'pong'; readonly number: number }
  /** All of a stream's content has come. */
  | { readonly type: 'received'; readonly id: number };

/** What both ends of a fake connection do. */
export interface FakeSession {
  readonly version: FakeVersion;
  readonly quic: QuicConnection;
  /** Datagrams travel natively. */
  readonly datagrams: boolean;
  readonly closed: Promise<ConnectionClose>;
  readonly over: boolean;
  readonly streams: ReadonlySet<FakeStream>;
  add(stream: FakeStream): void;
  opened(stream: FakeStream, id: number): void;
  remove(stream: FakeStream): void;
  /** The peer is told that a stream has come to its end. */
  received(id: number): void;
  /** Until the peer tells the same of this stream, an idle connection stays. */
  sentEnd(stream: FakeStream): void;
  goaway(from: number): void;
  /** From here on the connection closes when nothing runs on it. */
  closeWhenIdle(): void;
  ping(answer: () => void): void;
  close(code: number, detail: string): void;
  soon(run: () => void): void;
}

export interface SessionHandler {
  /** A stream of the peer. */
  accept(quic: QuicStream): QuicStreamHandler;
  goaway(from: number): void;
  closed(close: ConnectionClose): void;
}

const earlyStreams = 64;
const earlyBytes = 16 * 1024;

export function createFakeSession(
  quic: QuicConnection,
  options: { readonly version: FakeVersion; readonly datagrams: () => boolean; soon(run: () => void): void },
  handler: SessionHandler,
): { readonly session: FakeSession; readonly quicHandler: QuicConnectionHandler } {
  const streams = new Set<FakeStream>();
  const byId = new Map<number, FakeStream>();
  const unacknowledged = new Set<FakeStream>();
  const early = new Map<number, EarlyDatagrams>();
  const pings = new Map<number, () => void>();
  let highestSeen = -1;
  let pingNumber = 0;
  let closing = false;
  let over = false;
  let local: { readonly code: number; readonly detail: string } | undefined;
  let resolveClosed: (close: ConnectionClose) => void = () => undefined;
  const closed = new Promise<ConnectionClose>((resolve) => {
    resolveClosed = resolve;
  });

  const silent: QuicStreamHandler = {
    data: () => undefined,
    end: () => undefined,
    reset: () => undefined,
    stopped: () => undefined,
    drain: () => undefined,
    lost: () => undefined,
  };
  const control = quic.openUnidirectional(silent);
  const tell = (message: Control): void => sendFrame(control, message);
  const checkIdle = (): void => {
    if (!closing || over || streams.size > 0 || unacknowledged.size > 0) return;
    session.close(codeOf('no-error', 'h3'), '');
  };
  const hear = (message: Control): void => {
    if (message.type === 'ping') tell({ type: 'pong', number: message.number });
    else if (message.type === 'goaway') handler.goaway(message.from);
    else if (message.type === 'received') {
      for (const stream of unacknowledged) {
        if (stream.tunnel.id === message.id) unacknowledged.delete(stream);
      }
      checkIdle();
    } else {
      pings.get(message.number)?.();
      pings.delete(message.number);
    }
  };
  const controlHandler = (stream: QuicStream): QuicStreamHandler => {
    const reader = createFrameReader(stream, (value) => {
      hear(value as Control);
      reader.next();
    });
    reader.next();
    return {
      ...silent,
      data(bytes, start, end) {
        for (let at = start; at < end; ) at = reader.push(bytes, at, end);
      },
    };
  };

  const session: FakeSession = {
    version: options.version,
    quic,
    closed,
    streams,
    get datagrams() {
      return options.datagrams();
    },
    get over() {
      return over;
    },
    add(stream) {
      streams.add(stream);
      if (stream.tunnel.id >= 0) session.opened(stream, stream.tunnel.id);
    },
    opened(stream, id) {
      byId.set(id, stream);
      highestSeen = Math.max(highestSeen, id);
    },
    remove(stream) {
      streams.delete(stream);
      byId.delete(stream.tunnel.id);
      // Who has not ended cleanly waits for nothing.
      checkIdle();
    },
    received(id) {
      tell({ type: 'received', id });
    },
    sentEnd(stream) {
      unacknowledged.add(stream);
      stream.tunnel.closed.then((outcome) => {
        if (outcome.kind !== 'ended' && unacknowledged.delete(stream)) checkIdle();
      });
    },
    goaway(from) {
      tell({ type: 'goaway', from });
    },
    closeWhenIdle() {
      closing = true;
      checkIdle();
    },
    ping(answer) {
      pingNumber += 1;
      pings.set(pingNumber, answer);
      tell({ type: 'ping', number: pingNumber });
    },
    close(code, detail) {
      if (over || local) return;
      local = { code, detail };
      quic.close(code, detail);
    },
    soon: options.soon,
  };

  const quicHandler: QuicConnectionHandler = {
    stream(stream) {
      if (!stream.bidirectional) return controlHandler(stream);
      const made = handler.accept(stream);
      const kept = early.get(stream.id);
      early.delete(stream.id);
      // The request comes first, then what overtook it.
      if (kept) {
        options.soon(() =>
          kept.deliver((bytes, start, end) => byId.get(stream.id)?.datagram(bytes, start, end)),
        );
      }
      return made;
    },
    datagram(bytes, start, end) {
      const quarter = readVarint(bytes, start, end);
      if (quarter === INCOMPLETE) return;
      const id = quarter * 4;
      const from = start + varintLength(bytes[start] ?? 0);
      const stream = byId.get(id);
      if (stream) stream.datagram(bytes, from, end);
      else if (id > highestSeen && early.size < earlyStreams) {
        const kept = early.get(id) ?? createEarlyDatagrams(earlyBytes);
        early.set(id, kept);
        kept.keep(bytes, from, end);
      }
    },
    maxDatagramSize() {
      for (const stream of [...streams]) stream.maxDatagramSizeChanged();
    },
    closed(reason) {
      over = true;
      pings.clear();
      early.clear();
      const close = closeOf(reason, local);
      for (const stream of [...streams]) {
        stream.finish({ kind: 'lost', reason: close.reason, detail: close.detail });
      }
      handler.closed(close);
      resolveClosed(close);
    },
  };
  return { session, quicHandler };
}
