import type { Clock } from '../../clock/clock.js';
import { h3ErrorCodes } from '../../protocol/h3-error.js';
import type { H3Settings } from '../../protocol/h3-settings.js';
import type { QuicAccept } from '../../quic/connection.js';
import type { HttpAccept, HttpServerConnection } from '../connection.js';
import { createRateLimit } from '../rate-limit.js';
import { deafHandler } from './deaf-handler.js';
import { createCloseWhenIdle, createServerDrain } from './drain.js';
import { createHeadDeadlines } from './head-deadlines.js';
import { type H3Limits, h3Limits } from './limits.js';
import { QuicEvents } from './request-events.js';
import type { RequestStream } from './request-stream.js';
import { ServerRequest, type ServerRequestHost } from './server-request.js';
import { controlPreface, createH3Session } from './session.js';

export interface H3ServerOptions {
  readonly clock: Clock;
  readonly limits?: Partial<H3Limits>;
}

const closeCodes: Record<Parameters<HttpServerConnection['close']>[0], number> = {
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
    const handler = accept({
      version: 'h3',
      id: quic.id,
      serverName: quic.serverName,
      peerCertificates: quic.peerCertificates,
      closed: session.closed,
      ...(quic.thread && { thread: quic.thread }),
      get remoteAddress() {
        return quic.remoteAddress;
      },
      get localAddress() {
        return quic.localAddress;
      },
      get streams() {
        return session.requests.size;
      },
      statistics: () => quic.statistics().catch(() => undefined),
      drain: drain.begin,
      close(reason) {
        session.fail(closeCodes[reason], '');
      },
    });
    return quicHandler;
  };
}
