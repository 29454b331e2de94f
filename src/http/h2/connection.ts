import type { Clock, Timer } from '../../clock/clock.js';
import type { Fields } from '../../protocol/fields.js';
import { H2Error, type H2ErrorName, h2ErrorCodes, h2ErrorName } from '../../protocol/h2-error.js';
import { createHpackDecoder, type FieldSection } from '../../protocol/hpack/decoder.js';
import { createHpackEncoder } from '../../protocol/hpack/encoder.js';
import type { Http2Session, Http2SessionHandler, Http2Settings } from '../../quic/http2-session.js';
import type { TcpEnd } from '../../quic/tcp-socket.js';
import type { SharedRoom } from '../../quic/write-gauge.js';
import { NumberTable } from '../../tables/number-table.js';
import type { ConnectionClose } from '../connection.js';
import { lingerTime } from '../tcp/hang-up.js';
import { lossOf } from '../tcp/loss.js';
import type { LossReason } from '../tunnel-stream.js';
import type { ByteCarrierHandler } from './frames/byte-carrier.js';
import { type H2Limits, headerBlockSize } from './limits.js';
import { openSession, type SessionCarrier } from './open-session.js';
import { createPings, type Pings } from './pings.js';
import type { RequestStream } from './request-stream.js';

/** One HTTP/2 connection, as both sides have it. */
export interface H2Connection {
  readonly session: Http2Session;
  readonly limits: H2Limits;
  /** Streams that have no outcome yet. */
  readonly streams: { readonly size: number };
  readonly pings: Pings;
  /** Why it is over, or ending now. */
  readonly cause: ConnectionClose | undefined;
  /** True once either side has said that it takes no new streams. */
  readonly draining: boolean;
  /** The last stream of this side that the peer's GOAWAY says it processes. */
  readonly lastProcessed: number | undefined;
  readonly closed: Promise<ConnectionClose>;
  encode(fields: Fields): Uint8Array;
  add(stream: RequestStream): void;
  /** A stream has its outcome. */
  ended(stream: RequestStream): void;
  /** GOAWAY without an error: streams run on, then the connection closes. */
  drain(): void;
  /** This side ends it: GOAWAY with the code, and the close; every stream is lost. */
  close(code: number, detail: string): void;
  /** The peer broke the protocol (RFC 9113 section 5.4.1). */
  fail(codeName: H2ErrorName, detail: string): void;
}

/** What a connection tells its side. */
export interface H2Side {
  /** The highest stream that the peer opened. */
  readonly lastStream: number;
  /** A header section of a stream that is not there (any more). */
  headers(id: number, section: FieldSection, endStream: boolean): void;
  settings(values: Http2Settings): void;
  /** GOAWAY without an error. */
  goaway(): void;
  /** A stream has its outcome. */
  ended(): void;
  closed(close: ConnectionClose): void;
}

export interface H2ConnectionOptions {
  readonly role: 'client' | 'server';
  readonly clock: Clock;
  readonly limits: H2Limits;
  readonly settings: Http2Settings;
  /** For what waits to be written, where the session is not the engine's. */
  readonly room: SharedRoom;
}

const { NO_ERROR, INTERNAL_ERROR, CANCEL, ENHANCE_YOUR_CALM, REFUSED_STREAM } = h2ErrorCodes;

/** Codes of GOAWAY that do not say that this side broke the protocol. */
const blameless: ReadonlySet<number> = new Set([INTERNAL_ERROR, CANCEL, ENHANCE_YOUR_CALM, REFUSED_STREAM]);

/** Runs HTTP/2 on a carrier; all that the carrier tells goes to `carrierHandler`. */
export function createH2Connection(
  carrier: SessionCarrier,
  options: H2ConnectionOptions,
  side: H2Side,
): { readonly connection: H2Connection; readonly carrierHandler: ByteCarrierHandler } {
  const { clock, limits, role } = options;
  const streams = new NumberTable<RequestStream>();
  const decoder = createHpackDecoder();
  const { encode } = createHpackEncoder();
  let draining = false;
  let peerGoaway = false;
  let linger: Timer | undefined;
  let over = false;
  let resolveClosed: (close: ConnectionClose) => void = () => undefined;
  const closed = new Promise<ConnectionClose>((resolve) => {
    resolveClosed = resolve;
  });

  const record = (reason: LossReason, code: number | undefined, detail: string): boolean => {
    if (connection.cause) return false;
    connection.cause = { reason, code, detail };
    return true;
  };
  /** The peer is given a while for its own end. */
  const endSocket = (): void => {
    if (over) return;
    session.close();
    startLinger();
  };
  const startLinger = (): void => {
    if (!over) linger ??= clock.setTimeout(() => session.abort(), lingerTime);
  };
  const loseAll = (): void => {
    if (!connection.cause) return;
    const { reason, detail } = connection.cause;
    for (const stream of streams.values()) stream.finish({ kind: 'lost', reason, detail });
  };
  const closeIfIdle = (): void => {
    if (streams.size > 0 || !(draining || peerGoaway)) return;
    const recorded = draining
      ? record('closed', NO_ERROR, 'drained')
      : record('peer-closed', undefined, 'closed by the peer');
    if (!recorded) return;
    if (!draining) session.goaway(side.lastStream, NO_ERROR, '');
    endSocket();
  };
  const end = (reason: LossReason, code: number, detail: string): void => {
    if (!record(reason, code, detail)) return;
    session.goaway(side.lastStream, code, detail);
    endSocket();
    loseAll();
  };
  const socketGone = (told: TcpEnd): void => {
    const idle = streams.size === 0;
    if (told.kind === 'reset') record(lossOf(told.errno), undefined, `the TCP connection: ${told.errno}`);
    else if (draining && idle) record('closed', NO_ERROR, 'drained');
    else if (peerGoaway || idle) record('peer-closed', undefined, 'closed by the peer');
    else record('reset', undefined, 'closed in mid-stream');
  };

  const handler: Http2SessionHandler = {
    headers(id, block, endStream) {
      if (connection.cause) return;
      try {
        const section = decoder.decode(block, 0, block.length, limits.fieldSectionSize);
        const stream = streams.get(id);
        if (stream) stream.headersReceived(section, endStream);
        else side.headers(id, section, endStream);
      } catch (error) {
        if (!(error instanceof H2Error)) throw error;
        end('protocol-error', error.code, error.message);
      }
    },
    data: (id, bytes, start, stop) => streams.get(id)?.dataReceived(bytes, start, stop),
    end: (id) => streams.get(id)?.peerEnded(),
    reset: (id, code) => streams.get(id)?.peerReset(code),
    drain: (id) => streams.get(id)?.drained(),
    sent: (id) => streams.get(id)?.allSent(),
    settings(values) {
      if (!connection.cause) side.settings(values);
    },
    pong: (payload) => pings.answered(payload),
    goaway(lastStream, code, debug) {
      if (connection.cause) return;
      if (code !== NO_ERROR) {
        const detail = `GOAWAY with ${h2ErrorName(code)}${debug && `: ${debug}`}`;
        record(blameless.has(code) ? 'peer-closed' : 'protocol-error', code, detail);
        session.goaway(side.lastStream, NO_ERROR, '');
        endSocket();
        loseAll();
        return;
      }
      peerGoaway = true;
      connection.draining = true;
      connection.lastProcessed = lastStream;
      // RFC 9113 section 6.8: streams above the last one named were not processed.
      for (const stream of role === 'client' ? streams.values() : []) {
        if (stream.id <= lastStream) continue;
        session.reset(stream.id, CANCEL);
        stream.finish(unprocessed);
      }
      side.goaway();
      closeIfIdle();
    },
    failed(code, reason) {
      record('protocol-error', code, reason);
      startLinger();
      loseAll();
    },
    closed(told) {
      if (over) return;
      over = true;
      clock.clearTimeout(linger);
      socketGone(told);
      loseAll();
      const close = connection.cause ?? { reason: 'internal-error', code: undefined, detail: '' };
      pings.lose(close.detail);
      side.closed(close);
      resolveClosed(close);
    },
  };

  const { session, carrierHandler } = openSession(
    carrier,
    {
      role,
      settings: options.settings,
      streamWindow: limits.streamWindow,
      connectionWindow: limits.connectionWindow,
      headerBlockSize: headerBlockSize(limits),
    },
    handler,
    options.room,
  );
  const pings = createPings(clock, (payload) => session.ping(payload));

  const connection: H2Connection & {
    cause: ConnectionClose | undefined;
    draining: boolean;
    lastProcessed: number | undefined;
  } = {
    session,
    limits,
    streams,
    pings,
    encode,
    closed,
    cause: undefined,
    draining: false,
    lastProcessed: undefined,
    add(stream) {
      streams.set(stream.id, stream);
    },
    ended(stream) {
      if (streams.get(stream.id) !== stream) return;
      streams.delete(stream.id);
      side.ended();
      closeIfIdle();
    },
    drain() {
      if (draining || connection.cause) return;
      draining = true;
      connection.draining = true;
      session.goaway(side.lastStream, NO_ERROR, '');
      closeIfIdle();
    },
    close: (code, detail) => end('closed', code, detail),
    fail: (codeName, detail) => end('protocol-error', h2ErrorCodes[codeName], detail),
  };
  return { connection, carrierHandler };
}

/** Of a stream that the peer's GOAWAY leaves out. */
export const unprocessed = {
  kind: 'lost',
  reason: 'peer-closed',
  detail: 'left unprocessed by GOAWAY',
} as const;
