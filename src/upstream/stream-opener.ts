import type { HttpClientConnection } from '../http/connection.js';
import type { RequestHead, ResponseHead } from '../http/request.js';
import type { ClientStreamHandler, StreamOutcome, TunnelStream } from '../http/tunnel-stream.js';
import type { HttpVersion, ResetReason } from '../protocol/reset-reason.js';
import type { Checkout } from './checkout.js';
import type { AcquireOptions } from './owner.js';
import type { AcquiredStream, Session } from './session.js';
import { UpstreamError } from './upstream-error.js';

/** What code that opens a stream on a connection by itself needs of one. */
export type StreamOpener = Pick<HttpClientConnection, 'open'>;

/** The outcome of a stream that was never acquired. */
function outcomeOf(error: unknown, version: HttpVersion): StreamOutcome {
  if (error instanceof UpstreamError) {
    const { failure } = error;
    if (failure.kind === 'peer_closed')
      return { kind: 'lost', reason: failure.reason, detail: failure.detail };
    if (failure.kind === 'stream_limit' || failure.kind === 'stream_reset') {
      const by = failure.kind === 'stream_limit' && failure.by === 'here' ? 'local' : 'peer';
      return { kind: 'reset', by, reason: 'refused', code: undefined, version };
    }
  }
  return { kind: 'lost', reason: 'closed', detail: error instanceof Error ? error.message : String(error) };
}

/** A session for whoever only knows the handler of a stream: told the outcome once, also after a release. */
class HandlerSession implements Session {
  stream: TunnelStream | undefined;
  private told = false;

  constructor(
    private readonly handler: ClientStreamHandler,
    readonly gone: AbortSignal,
  ) {}

  attach(acquired: AcquiredStream): void {
    this.stream = acquired.stream;
    void acquired.stream.closed.then((outcome) => this.closed(outcome));
  }
  informational(head: ResponseHead): void {
    this.handler.informational?.(head);
  }
  response(head: ResponseHead): void {
    this.handler.response(head);
  }
  data(bytes: Uint8Array, start: number, end: number): void {
    this.handler.data(bytes, start, end);
  }
  end(): void {
    this.handler.end();
  }
  datagram(bytes: Uint8Array, start: number, end: number): void {
    this.handler.datagram(bytes, start, end);
  }
  drain(): void {
    this.handler.drain();
  }
  peerStopped(reason: ResetReason): void {
    this.handler.peerStopped?.(reason);
  }
  maxDatagramSize(size: number): void {
    this.handler.maxDatagramSize?.(size);
  }
  closed(outcome: StreamOutcome): void {
    if (this.told) return;
    this.told = true;
    this.handler.closed(outcome);
  }
}

/** A stream that was never opened; it takes nothing and its outcome comes. */
function neverOpened(version: HttpVersion, closed: Promise<StreamOutcome>): TunnelStream {
  return {
    version,
    closed,
    id: -1,
    buffered: 0,
    nativeDatagrams: false,
    maxDatagramSize: 0,
    grant: () => undefined,
    write: () => true,
    end: () => undefined,
    sendDatagram: () => 'dropped',
    reset: () => undefined,
  };
}

/**
 * The one stream of a checkout, for code that opens it synchronously on a connection, as the tunnels do. Where
 * the acquire fails the stream closes with the reason; nothing is retried. `gone` releases the stream.
 */
export function streamOpener(
  checkout: Checkout,
  gone: AbortSignal,
  options: AcquireOptions = {},
): StreamOpener {
  return {
    open(head: RequestHead, handler: ClientStreamHandler) {
      const session = new HandlerSession(handler, gone);
      const { version } = checkout.owner;
      const closed = checkout.acquireStreamOnce(head, session, options).then(
        ({ stream }) => stream.closed,
        (error: unknown) => {
          const outcome = outcomeOf(error, version);
          session.closed(outcome);
          return outcome;
        },
      );
      return session.stream ?? neverOpened(version, closed);
    },
  };
}
