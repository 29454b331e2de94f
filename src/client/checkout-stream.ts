import type { HttpClientConnection } from '../http/connection.js';
import type { StreamOutcome, TunnelStream } from '../http/tunnel-stream.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import type { Checkout } from '../upstream/checkout.js';
import type { Session } from '../upstream/session.js';
import { UpstreamError } from '../upstream/upstream-error.js';

/** A stream that never came to be. */
function stillborn(version: HttpVersion, closed: Promise<StreamOutcome>): TunnelStream {
  return {
    version,
    id: -1,
    buffered: 0,
    maxDatagramSize: 0,
    nativeDatagrams: false,
    grant: () => undefined,
    write: () => true,
    end: () => undefined,
    sendDatagram: () => 'dropped',
    reset: () => undefined,
    closed,
  };
}

function outcomeOf(error: unknown, version: HttpVersion): StreamOutcome {
  const failure = error instanceof UpstreamError ? error.failure : undefined;
  if (failure?.kind === 'stream_reset') {
    return { kind: 'reset', by: 'local', reason: 'cancelled', code: failure.code, version };
  }
  const detail = error instanceof Error ? error.message : String(error);
  if (failure?.kind === 'peer_closed')
    return { kind: 'lost', reason: failure.reason, detail: failure.detail };
  return { kind: 'lost', reason: 'closed', detail };
}

/**
 * The place of a checkout as a connection that opens one stream. Whatever keeps the stream from being opened
 * is its outcome; on a connection that has died meanwhile it is `lost`.
 */
export function openOn(checkout: Checkout): Pick<HttpClientConnection, 'open'> {
  return {
    open(head, handler) {
      const { version } = checkout.owner;
      const cancel = new AbortController();
      let stream: TunnelStream | undefined;
      let tooLate = false;
      let told = false;
      let resolve: (outcome: StreamOutcome) => void = () => undefined;
      const closed = new Promise<StreamOutcome>((onResolve) => {
        resolve = onResolve;
      });
      const conclude = (outcome: StreamOutcome): void => {
        if (told) return;
        told = true;
        handler.closed(outcome);
        resolve(outcome);
      };
      const session: Session = {
        gone: cancel.signal,
        attach(acquired) {
          // Whoever asked was told that there is none.
          if (tooLate) throw new UpstreamError({ kind: 'aborted', of: 'acquire' });
          stream = acquired.stream;
        },
        data: (bytes, start, end) => handler.data(bytes, start, end),
        end: () => handler.end(),
        datagram: (bytes, start, end) => handler.datagram(bytes, start, end),
        drain: () => handler.drain(),
        peerStopped: (reason) => handler.peerStopped?.(reason),
        maxDatagramSize: (size) => handler.maxDatagramSize?.(size),
        informational: (response) => handler.informational?.(response),
        response: (response) => handler.response(response),
        closed: conclude,
      };
      checkout
        .acquireStream(head, session, { signal: cancel.signal })
        .catch((error: unknown) => conclude(outcomeOf(error, version)));
      if (stream) return stream;
      tooLate = true;
      cancel.abort();
      return stillborn(version, closed);
    },
  };
}
