import type { Clock } from '../../clock/clock.js';
import { readQuarterStreamId } from '../../protocol/h3-datagram.js';
import { H3Error, h3ErrorCodes } from '../../protocol/h3-error.js';
import { encodeH3Frame, encodeH3IdFrame, type H3FrameRules, h3FrameTypes } from '../../protocol/h3-frame.js';
import { encodeH3Settings, type H3Settings } from '../../protocol/h3-settings.js';
import { h3StreamTypes } from '../../protocol/h3-stream-type.js';
import { varintLength } from '../../protocol/varint.js';
import type { QuicCloseReason, QuicConnection, QuicConnectionHandler } from '../../quic/connection.js';
import type { QuicStream, QuicStreamHandler } from '../../quic/stream.js';
import { Line } from '../../tables/line.js';
import { NumberTable } from '../../tables/number-table.js';
import type { ConnectionClose } from '../connection.js';
import { createRateLimit } from '../rate-limit.js';
import { closeOf, type LocalClose } from './close-reason.js';
import { createCreatedStreams } from './created-streams.js';
import { deafHandler } from './deaf-handler.js';
import { createEarlyDatagrams, type EarlyDatagrams } from './early-datagrams.js';
import type { H3Limits } from './limits.js';
import { createPeerStreams } from './peer-streams.js';
import type { RequestStream } from './request-stream.js';

/** One HTTP/3 connection, as both sides have it. */
export interface H3Session {
  readonly role: 'client' | 'server';
  readonly quic: QuicConnection;
  readonly clock: Clock;
  readonly limits: H3Limits;
  /** QUIC DATAGRAM frames are agreed: both settings were exchanged and the peer takes such frames. */
  readonly datagrams: boolean;
  /** The peer's SETTINGS, once they came. */
  readonly peerSettings: H3Settings | undefined;
  /** For the frames of the peer's side of a request stream. */
  readonly frameRules: H3FrameRules;
  readonly early: EarlyDatagrams;
  /** For a frame header that is written at once. */
  readonly scratch: Uint8Array;
  /** Milliseconds, measured once at the start; 0 before. */
  readonly roundTrip: number;
  /** True once it is closing, whoever began. */
  readonly closing: boolean;
  /** Request streams that have no outcome yet. */
  readonly requests: Iterable<RequestStream> & { readonly size: number };
  /** One above the highest request stream id that the peer opened. */
  readonly nextRequest: number;
  readonly closed: Promise<ConnectionClose>;
  add(request: RequestStream): void;
  /** A request stream got its id. */
  opened(request: RequestStream, streamId: number): void;
  ended(request: RequestStream): void;
  goaway(id: number): void;
  /** Sends a frame of a reserved type: it means nothing and has to be acknowledged (RFC 9114 section 7.2.8). */
  sendPadding(): void;
  /** Closes the connection; every stream is lost. Only the first call counts. */
  fail(code: number, detail: string): void;
}

/** What changes of a session; no getters, which V8 would make in the old generation for each connection. */
interface SessionState {
  datagrams: boolean;
  peerSettings: H3Settings | undefined;
  roundTrip: number;
  closing: boolean;
  nextRequest: number;
}

/** What a session tells its side. */
export interface H3SessionSide {
  /** The peer opened a bidirectional stream. */
  request(stream: QuicStream): QuicStreamHandler;
  settings(settings: H3Settings): void;
  goaway(id: number): void;
  /** A request stream has its outcome. */
  ended(): void;
  migrated?(): void;
  streamsLeft?(): void;
  closed(close: ConnectionClose, reason: QuicCloseReason): void;
}

export interface H3SessionOptions {
  readonly role: 'client' | 'server';
  readonly clock: Clock;
  readonly limits: H3Limits;
  readonly settings: Partial<H3Settings>;
}

/** The first reserved frame type (RFC 9114 section 7.2.8: 0x1f * N + 0x21). */
const RESERVED_FRAME = 0x21;

/** How a control stream begins: its type, then SETTINGS (RFC 9114 section 6.2.1). */
export function controlPreface(settings: Partial<H3Settings>): Uint8Array {
  const frame = encodeH3Frame(h3FrameTypes.SETTINGS, encodeH3Settings(settings));
  const bytes = new Uint8Array(1 + frame.length);
  bytes[0] = h3StreamTypes.CONTROL;
  bytes.set(frame, 1);
  return bytes;
}

export function createH3Session(
  quic: QuicConnection,
  options: H3SessionOptions,
  side: H3SessionSide,
): { readonly session: H3Session; readonly quicHandler: QuicConnectionHandler } {
  const { role, clock, limits } = options;
  const frameRules: H3FrameRules = { stream: 'request', role, maxHeaders: limits.maxFieldSectionSize };
  const requests = new Line<RequestStream>();
  const byQuarter = new NumberTable<RequestStream>();
  const created = createCreatedStreams();
  const spendUnknown = createRateLimit(clock, limits.unknownStreams);
  let local: LocalClose | undefined;
  let closed = false;
  let resolveClosed: (close: ConnectionClose) => void;
  const whenClosed = new Promise<ConnectionClose>((resolve) => {
    resolveClosed = resolve;
  });
  const early = createEarlyDatagrams(clock, {
    bytes: limits.earlyDatagramBytes,
    count: limits.earlyDatagramCount,
    time: () => Math.max(limits.earlyDatagramTime, session.roundTrip),
  });

  const fail = (code: number, detail: string): void => {
    if (local || closed) return;
    local = { code, detail };
    session.closing = true;
    loseAll(closeOf({ kind: 'idle' }, local));
    quic.close(code, detail);
  };
  const loseAll = (close: ConnectionClose): void => {
    early.clear();
    for (const request of requests) {
      request.finish({ kind: 'lost', reason: close.reason, detail: close.detail });
    }
  };

  const session: H3Session & SessionState = {
    role,
    quic,
    clock,
    limits,
    early,
    requests,
    frameRules,
    scratch: new Uint8Array(16),
    closed: whenClosed,
    datagrams: false,
    peerSettings: undefined,
    roundTrip: 0,
    closing: false,
    nextRequest: 0,
    add(request) {
      request.place = requests.join(request);
    },
    opened(request, streamId) {
      created.add(streamId / 4);
      session.nextRequest = created.next * 4;
      early.created(streamId / 4);
      byQuarter.set(streamId / 4, request);
    },
    ended(request) {
      const { id, place } = request;
      if (place) requests.leave(place);
      if (id >= 0) {
        byQuarter.delete(id / 4);
        early.forget(id / 4);
      }
      side.ended();
    },
    goaway(id) {
      send(encodeH3IdFrame(h3FrameTypes.GOAWAY, id));
    },
    sendPadding() {
      send(encodeH3Frame(RESERVED_FRAME, new Uint8Array(0)));
    },
    fail,
  };

  const peerStream = createPeerStreams(role, {
    fail,
    unknownStream() {
      if (!spendUnknown()) fail(h3ErrorCodes.H3_EXCESSIVE_LOAD, 'too many streams of unknown type');
    },
    settings(settings) {
      session.peerSettings = settings;
      // RFC 9297 section 2.1.1: sent and received as 1; and RFC 9221 section 3: the transport parameter.
      session.datagrams =
        options.settings.h3Datagram === true && settings.h3Datagram && quic.maxDatagramSize > 0;
      side.settings(settings);
      if (session.datagrams) for (const request of requests) request.maxDatagramSizeChanged();
    },
    goaway: (id) => side.goaway(id),
  });

  const control = quic.openUnidirectional({
    ...deafHandler,
    // RFC 9114 section 6.2.1: the receiver must not ask for the end of a control stream.
    stopped: () => fail(h3ErrorCodes.H3_CLOSED_CRITICAL_STREAM, 'the peer stopped the control stream'),
  });
  const send = (bytes: Uint8Array): void => {
    control.write(bytes, 0, bytes.length);
  };
  if (!quic.greeted) send(controlPreface(options.settings));
  quic.statistics().then(
    (statistics) => {
      session.roundTrip = statistics.rtt;
    },
    () => undefined,
  );

  const late = (quarter: number, bytes: Uint8Array, start: number, end: number): void => {
    if (quarter === Number.POSITIVE_INFINITY) {
      // RFC 9297 section 2.1: a stream that cannot be created.
      fail(h3ErrorCodes.H3_ID_ERROR, 'a datagram for a stream that cannot be');
    } else if (role === 'server' && !created.has(quarter)) {
      early.keep(quarter, false, bytes, start, end);
    }
  };

  const quicHandler: QuicConnectionHandler = {
    stream(stream) {
      if (local) return deafHandler;
      return stream.bidirectional ? side.request(stream) : peerStream(stream);
    },
    datagram(bytes, start, end) {
      if (local) return;
      try {
        const quarter = readQuarterStreamId(bytes, start, end);
        const payload = start + varintLength(bytes[start] ?? 0);
        const request = byQuarter.get(quarter);
        if (request) request.datagramReceived(bytes, payload, end);
        else late(quarter, bytes, payload, end);
      } catch (error) {
        if (!(error instanceof H3Error)) throw error;
        fail(error.code, error.message);
      }
    },
    maxDatagramSize() {
      for (const request of requests) request.maxDatagramSizeChanged();
    },
    migrated() {
      side.migrated?.();
    },
    streamsLeft() {
      side.streamsLeft?.();
    },
    closed(reason) {
      if (closed) return;
      closed = true;
      session.closing = true;
      const close = closeOf(reason, local);
      loseAll(close);
      side.closed(close, reason);
      resolveClosed(close);
    },
  };
  return { session, quicHandler };
}
