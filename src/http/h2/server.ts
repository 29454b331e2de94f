import type { Clock } from '../../clock/clock.js';
import { h2ErrorCodes } from '../../protocol/h2-error.js';
import { h2SettingIds } from '../../protocol/h2-frame.js';
import type { FieldSection } from '../../protocol/hpack/decoder.js';
import type { EngineThread } from '../../quic/engine-thread.js';
import type { Http2Settings } from '../../quic/http2-session.js';
import type { SecureGreeting } from '../../quic/secure-socket.js';
import type { SharedRoom } from '../../quic/write-gauge.js';
import type { HttpAccept, HttpServerConnection } from '../connection.js';
import { createRateLimit } from '../rate-limit.js';
import { ServerFace } from '../tcp/server-face.js';
import type { SocketIdentity } from '../tcp/socket-identity.js';
import { createH2Connection, type H2Side } from './connection.js';
import type { ByteCarrierHandler } from './frames/byte-carrier.js';
import { openingBytes } from './frames/opening.js';
import { type H2Limits, settingsOf } from './limits.js';
import { readRequest, requestLength, unlessMalformed } from './messages.js';
import type { SessionCarrier } from './open-session.js';
import { ServerRequest } from './server-request.js';

export interface H2ServerOptions {
  readonly clock: Clock;
  readonly limits: H2Limits;
  /** Time for the preface, SETTINGS and the first request, milliseconds. */
  readonly requestHeadTimeout: number;
  /** Value of Alt-Svc on every final response (RFC 7838). */
  readonly altSvc: string | undefined;
  /** For what waits to be written, of all connections. */
  readonly room: SharedRoom;
}

/** Who is at the two ends, and where the far sides of tunnels had best be opened. */
export interface H2ServerIdentity extends SocketIdentity {
  readonly thread?: EngineThread | undefined;
}

const { NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, ENHANCE_YOUR_CALM, INTERNAL_ERROR } = h2ErrorCodes;

const closeCodes: Record<Parameters<HttpServerConnection['close']>[0], number> = {
  shutdown: NO_ERROR,
  unauthenticated: NO_ERROR,
  'excessive-load': ENHANCE_YOUR_CALM,
  'internal-error': INTERNAL_ERROR,
};

/** RFC 8441 section 3. */
const serverSettings = (limits: H2Limits): Http2Settings => ({
  ...settingsOf(limits),
  [h2SettingIds.ENABLE_CONNECT_PROTOCOL]: 1,
});

/**
 * The `greeting` of a listener for `startH2Server` with the same limits: SETTINGS reach the client with the
 * handshake, and its first request leaves one round trip earlier.
 */
export function h2Greeting(limits: H2Limits): SecureGreeting {
  const bytes = openingBytes({
    settings: serverSettings(limits),
    connectionWindow: limits.connectionWindow,
  });
  return { protocol: 'h2', bytes };
}

/**
 * Serves HTTP/2 (RFC 9113) on a socket whose handshake chose `h2`, and from which nothing was read yet. All that the
 * socket tells goes to `socketHandler`.
 */
export function startH2Server(
  socket: SessionCarrier,
  identity: H2ServerIdentity,
  options: H2ServerOptions,
  accept: HttpAccept,
): { readonly connection: HttpServerConnection; readonly socketHandler: ByteCarrierHandler } {
  const { clock, limits, altSvc } = options;
  const spend = createRateLimit(clock, limits.resets);
  const spendMore = createRateLimit(clock, limits.resets);
  /** A request was for nothing, and the client is to blame. */
  const wasted = (): void => {
    if (spend()) return;
    h2.drain();
    if (!spendMore()) h2.close(ENHANCE_YOUR_CALM, 'too many streams are reset');
  };
  const turnAway = (id: number, code: number): void => {
    h2.session.reset(id, code);
    wasted();
  };

  const begin = (id: number, section: FieldSection, endStream: boolean): void => {
    // RFC 9113 section 5.1.2: over the limit; section 6.8: after GOAWAY. Neither was processed.
    if (h2.draining || h2.streams.size >= limits.maxStreams) {
      turnAway(id, REFUSED_STREAM);
      return;
    }
    if (section.oversized) {
      h2.session.headers(id, h2.encode([[':status', '431']]), true);
      // RFC 9113 section 8.1: the response is complete, and the rest of the request is not needed.
      if (!endStream) h2.session.reset(id, NO_ERROR);
      return;
    }
    const request = unlessMalformed(() => {
      const head = readRequest(section.fields);
      return { head, length: requestLength(head) };
    });
    if (!request) {
      turnAway(id, PROTOCOL_ERROR);
      return;
    }
    const stream = new ServerRequest(h2, id, request.head, request.length, { altSvc, wasted });
    h2.add(stream);
    stream.attach(handler.request(stream));
  };

  const side: H2Side & { lastStream: number } = {
    lastStream: 0,
    headers(id, section, endStream) {
      // RFC 9113 section 5.1.1: clients open odd streams.
      if (id % 2 === 0) return h2.fail('PROTOCOL_ERROR', `a client opened stream ${id}`);
      // It is closed, and was while this was on its way.
      if (id <= side.lastStream) return;
      side.lastStream = id;
      clock.clearTimeout(headTimer);
      begin(id, section, endStream);
    },
    settings: () => undefined,
    goaway: () => undefined,
    ended: () => undefined,
    closed(close) {
      clock.clearTimeout(headTimer);
      handler.closed?.(close);
    },
  };
  const { connection: h2, carrierHandler } = createH2Connection(
    socket,
    {
      role: 'server',
      clock,
      limits,
      room: options.room,
      settings: serverSettings(limits),
    },
    side,
  );
  const connection = new ServerFace('h2', identity, h2.streams, h2.closed, h2.drain, (reason) =>
    h2.close(closeCodes[reason], reason),
  );
  const handler = accept(connection);
  const headTimer = clock.setTimeout(
    () => h2.close(NO_ERROR, 'no request in time'),
    options.requestHeadTimeout,
  );
  return { connection, socketHandler: carrierHandler };
}
