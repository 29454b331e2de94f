import type { Clock } from '../../clock/clock.js';
import { h3ErrorCodes } from '../../protocol/h3-error.js';
import type { H3Settings } from '../../protocol/h3-settings.js';
import type { SocketAddress } from '../../quic/address.js';
import type { QuicAccept, QuicConnection, QuicStatistics } from '../../quic/connection.js';
import type { EngineThread } from '../../quic/engine-thread.js';
import type { ConnectionClose, HttpAccept, HttpServerConnection } from '../connection.js';
import { createRateLimit } from '../rate-limit.js';
import { ALLOWANCE } from './content-flow.js';
import { deafHandler } from './deaf-handler.js';
import { createCloseWhenIdle, createServerDrain, type ServerDrain } from './drain.js';
import { createHeadDeadlines } from './head-deadlines.js';
import { type H3Limits, h3Limits } from './limits.js';
import { QuicEvents } from './request-events.js';
import type { RequestStream } from './request-stream.js';
import { ServerRequest, type ServerRequestHost } from './server-request.js';
import { controlPreface, createH3Session, type H3Session } from './session.js';

export interface H3ServerOptions {
  readonly clock: Clock;
  readonly limits?: Partial<H3Limits>;
}

type CloseReason = Parameters<HttpServerConnection['close']>[0];

const closeCodes: Record<CloseReason, number> = {
  shutdown: h3ErrorCodes.H3_NO_ERROR,
  unauthenticated: h3ErrorCodes.H3_NO_ERROR,
  'excessive-load': h3ErrorCodes.H3_EXCESSIVE_LOAD,
  'internal-error': h3ErrorCodes.H3_INTERNAL_ERROR,
};

const serverSettings = (limits: H3Limits): Partial<H3Settings> => ({
  maxFieldSectionSize: limits.maxFieldSectionSize,
  enableConnectProtocol: true,
  h3Datagram: true,
});

/**
 * The `greeting` of a listener for `acceptH3` with the same limits: SETTINGS reach the client with the handshake,
 * and its first request leaves one round trip earlier.
 */
export function h3Greeting(limits?: Partial<H3Limits>): Uint8Array {
  return controlPreface(serverSettings(h3Limits(limits)));
}

/** The `firstCredit` of a listener for `acceptH3`: what it grants a request at once in any case. */
export const H3_FIRST_CREDIT = ALLOWANCE;

/** A class because there are thousands. */
class ServerConnection implements HttpServerConnection {
  readonly version = 'h3';
  readonly id: number;
  readonly serverName: string | undefined;
  readonly peerCertificates: readonly Uint8Array[];
  readonly closed: Promise<ConnectionClose>;
  readonly thread?: EngineThread;
  readonly drain: () => void;

  constructor(
    private readonly quic: QuicConnection,
    private readonly session: H3Session,
    { begin }: ServerDrain,
  ) {
    this.id = quic.id;
    this.serverName = quic.serverName;
    this.peerCertificates = quic.peerCertificates;
    this.closed = session.closed;
    if (quic.thread) this.thread = quic.thread;
    this.drain = begin;
  }

  get remoteAddress(): SocketAddress {
    return this.quic.remoteAddress;
  }

  get localAddress(): SocketAddress {
    return this.quic.localAddress;
  }

  get streams(): number {
    return this.session.requests.size;
  }

  statistics(): Promise<QuicStatistics | undefined> {
    return this.quic.statistics().catch(() => undefined);
  }

  close(reason: CloseReason): void {
    this.session.fail(closeCodes[reason], '');
  }
}

/** Serves HTTP/3 (RFC 9114) on QUIC connections: give the result to `QuicEngine.listen` with ALPN `h3`. */
export function acceptH3(options: H3ServerOptions, accept: HttpAccept): QuicAccept {
  const { clock } = options;
  const limits = h3Limits(options.limits);
  return (quic) => {
    const spendCancelled = createRateLimit(clock, limits.cancelledRequests);
    const heads = createHeadDeadlines<RequestStream>(clock, limits.headersTimeout, (request) => {
      request.abort('message-error', h3ErrorCodes.H3_REQUEST_INCOMPLETE);
    });
    const host: ServerRequestHost = {
      request: (stream) => handler.request(stream),
      headSettled: heads.remove,
      cancelled() {
        if (spendCancelled()) return;
        session.fail(h3ErrorCodes.H3_EXCESSIVE_LOAD, 'too many cancelled requests');
      },
    };
    const { session, quicHandler } = createH3Session(
      quic,
      {
        role: 'server',
        clock,
        limits,
        settings: serverSettings(limits),
      },
      {
        request(stream) {
          if (stream.id >= drain.rejectFrom) {
            // RFC 9114 section 5.2: not processed at all, so it may be sent elsewhere.
            stream.reset(h3ErrorCodes.H3_REQUEST_REJECTED);
            stream.stop(h3ErrorCodes.H3_REQUEST_REJECTED);
            return deafHandler;
          }
          const request = new ServerRequest(session, host);
          session.add(request);
          request.attach(stream);
          request.awaited = heads.add(request);
          return new QuicEvents(request);
        },
        settings: () => undefined,
        goaway: () => undefined,
        ended: () => idle.streamEnded(),
        closed(close) {
          heads.clear();
          drain.stop();
          idle.stop();
          handler.closed?.(close);
        },
      },
    );
    const idle = createCloseWhenIdle(session);
    const drain = createServerDrain(session, idle);
    const handler = accept(new ServerConnection(quic, session, drain));
    return quicHandler;
  };
}
