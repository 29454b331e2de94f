import type { Clock } from '../../clock/clock.js';
import { BautaError } from '../../protocol/bauta-error.js';
import { h3ErrorCodes } from '../../protocol/h3-error.js';
import type { H3Settings } from '../../protocol/h3-settings.js';
import type { SocketAddress } from '../../quic/address.js';
import type {
  QuicAccept,
  QuicCloseReason,
  QuicConnection,
  QuicConnectionHandler,
  QuicStatistics,
} from '../../quic/connection.js';
import { QuicConnectError, type QuicConnectOptions } from '../../quic/engine.js';
import type { EngineThread } from '../../quic/engine-thread.js';
import { mapConnectError } from '../connect-failure.js';
import type {
  ConnectionClose,
  HttpClientConnection,
  HttpClientConnectionHandler,
  PeerSettings,
} from '../connection.js';
import type { RequestHead } from '../request.js';
import type { ClientStreamHandler, StreamOutcome, TunnelStream } from '../tunnel-stream.js';
import { openRequest } from './client-request.js';
import { deafHandler } from './deaf-handler.js';
import { type CloseWhenIdle, createCloseWhenIdle } from './drain.js';
import { type H3Limits, h3Limits } from './limits.js';
import { ping } from './ping.js';
import { createH3Session, type H3Session } from './session.js';
import { tunnelTransport } from './tunnel-transport.js';

export interface H3DialOptions {
  readonly quic: QuicConnectOptions;
  readonly clock: Clock;
  readonly limits?: Partial<H3Limits>;
  /** Sent in SETTINGS besides, or instead of, what `limits` and `datagrams` say. */
  readonly settings?: Partial<H3Settings>;
  /** False sends SETTINGS_H3_DATAGRAM = 0: HTTP datagrams then travel as capsules. Default true. */
  readonly datagrams?: boolean;
}

/** A class for its getters: those of an object would be made in the old generation for each connection. */
class ClientConnection implements HttpClientConnection {
  readonly version = 'h3';
  readonly closed: Promise<ConnectionClose>;
  settings: PeerSettings = { extendedConnect: false, datagrams: false, maxStreams: undefined };
  draining: 'peer-closed' | 'closed' | undefined;
  /** How it closed, once it has. */
  outcome: ConnectionClose | undefined;

  constructor(
    private readonly session: H3Session,
    private readonly idle: CloseWhenIdle,
  ) {
    this.closed = session.closed;
  }

  get remoteAddress(): SocketAddress {
    return this.session.quic.remoteAddress;
  }

  get usable(): boolean {
    return this.unusable() === undefined;
  }

  get streams(): number {
    return this.session.requests.size;
  }

  get streamsLeft(): number | undefined {
    return this.session.quic.bidirectionalStreamsLeft;
  }

  open(head: RequestHead, handler: ClientStreamHandler): TunnelStream {
    return openRequest(this.session, head, handler, this.unusable());
  }

  ping(signal: AbortSignal): Promise<number> {
    return ping(this.session, signal);
  }

  statistics(): Promise<QuicStatistics | undefined> {
    return this.session.quic.statistics().catch(() => undefined);
  }

  drain(): void {
    const { session, draining } = this;
    if (session.closing || draining === 'closed') return;
    this.draining = 'closed';
    // A client's GOAWAY names a push id, of which there are none (RFC 9114 section 5.2).
    session.goaway(0);
    if (!draining) this.idle.begin();
  }

  async close(): Promise<void> {
    this.session.fail(h3ErrorCodes.H3_NO_ERROR, '');
    await this.closed;
  }

  private unusable(): StreamOutcome | undefined {
    const { session, draining, outcome } = this;
    if (outcome) return { kind: 'lost', reason: outcome.reason, detail: outcome.detail };
    if (session.closing) return { kind: 'lost', reason: 'closed', detail: 'the connection is closing' };
    return draining && { kind: 'lost', reason: draining, detail: 'the connection takes no new streams' };
  }
}

/**
 * Servers open no bidirectional streams (RFC 9114 section 6.1). One that does so all the same is told by the code of
 * HTTP/3, for which it must be able to.
 */
const oneStream = { maxBidirectionalStreams: 1 };

/** Runs HTTP/3 on a client's QUIC connection; `settled` is told of the SETTINGS, or of what came instead. */
function runClient(
  quic: QuicConnection,
  options: H3DialOptions,
  handler: HttpClientConnectionHandler,
  settled: (failure: BautaError | undefined) => void,
): {
  readonly session: H3Session;
  readonly connection: HttpClientConnection;
  readonly quicHandler: QuicConnectionHandler;
} {
  const limits = h3Limits(options.limits);
  let up = false;

  const { session, quicHandler } = createH3Session(
    quic,
    {
      role: 'client',
      clock: options.clock,
      limits,
      settings: {
        maxFieldSectionSize: limits.maxFieldSectionSize,
        h3Datagram: options.datagrams ?? true,
        ...options.settings,
      },
    },
    {
      request(stream) {
        // RFC 9114 section 6.1: servers open no bidirectional streams.
        session.fail(h3ErrorCodes.H3_STREAM_CREATION_ERROR, `the server opened stream ${stream.id}`);
        return deafHandler;
      },
      settings(peer) {
        connection.settings = {
          extendedConnect: peer.enableConnectProtocol,
          datagrams: session.datagrams,
          maxStreams: undefined,
        };
        up = true;
        settled(undefined);
      },
      goaway(id) {
        // RFC 9114 section 5.2: requests from this id on were not processed, and no new ones are sent.
        for (const request of [...session.requests]) {
          const own = request.id;
          if (own >= 0 && own < id) continue;
          request.abandon({ kind: 'lost', reason: 'peer-closed', detail: 'refused by GOAWAY' });
        }
        if (connection.draining) return;
        connection.draining = 'peer-closed';
        handler.draining?.();
        idle.begin();
      },
      ended: () => idle.streamEnded(),
      streamsLeft: () => handler.streamsLeft?.(),
      closed(told, reason) {
        connection.outcome = told;
        idle.stop();
        settled(failure(told, reason));
        if (up) handler.closed?.(told);
      },
    },
  );
  const idle = createCloseWhenIdle(session);

  const connection = new ClientConnection(session, idle);
  return { session, connection, quicHandler };
}

/** The first TLS alert among the codes of QUIC (RFC 9001 section 4.8). */
const FIRST_ALERT = 0x100;

/** Why there are no SETTINGS. */
function failure(close: ConnectionClose, quic: QuicCloseReason): BautaError {
  const { detail } = close;
  // With TLS 1.3 a server refuses a client's certificate only after the handshake has ended for the client.
  const alert = quic.kind === 'transport' && quic.code >= FIRST_ALERT && quic.code < 2 * FIRST_ALERT;
  if (alert) return new BautaError('ERR_TLS', { detail });
  if (close.reason === 'timeout') return new BautaError('ERR_PROXY_TIMEOUT', { detail });
  return new BautaError(close.reason === 'protocol-error' ? 'ERR_PROXY_PROTOCOL' : 'ERR_CONNECTION_LOST', {
    detail,
  });
}

/**
 * Connects to an HTTP/3 server; resolves once its SETTINGS came. Rejects with `BautaError`: the failure of the
 * QUIC connection, ERR_PROXY_TIMEOUT, ERR_PROXY_PROTOCOL, ERR_CONNECTION_LOST, ERR_TLS or ERR_ABORTED.
 */
export async function dialH3(
  engine: Pick<EngineThread, 'connect'>,
  options: H3DialOptions,
  handler: HttpClientConnectionHandler,
  signal: AbortSignal,
): Promise<HttpClientConnection> {
  let running: ReturnType<typeof runClient> | undefined;
  let settle: (failure: BautaError | undefined) => void = () => undefined;
  const settings = new Promise<BautaError | undefined>((resolve) => {
    settle = resolve;
  });
  const accept: QuicAccept = (quic) => {
    running = runClient(quic, options, handler, settle);
    return running.quicHandler;
  };

  try {
    const transport = { ...tunnelTransport, ...oneStream, ...options.quic.transport };
    await engine.connect({ ...options.quic, transport }, accept, signal);
  } catch (error) {
    throw error instanceof QuicConnectError ? mapConnectError(error) : error;
  }
  if (!running) throw new BautaError('ERR_INTERNAL', { detail: 'a connection without a handler' });
  const { session, connection } = running;

  const { settingsTimeout } = session.limits;
  const timer = options.clock.setTimeout(() => {
    settle(new BautaError('ERR_PROXY_TIMEOUT', { detail: `no SETTINGS within ${settingsTimeout} ms` }));
  }, settingsTimeout);
  const aborted = (): void => settle(new BautaError('ERR_ABORTED', { cause: signal.reason }));
  if (signal.aborted) aborted();
  signal.addEventListener('abort', aborted, { once: true });
  const problem = await settings;
  signal.removeEventListener('abort', aborted);
  options.clock.clearTimeout(timer);
  if (!problem) return connection;
  session.fail(h3ErrorCodes.H3_NO_ERROR, '');
  throw problem;
}
