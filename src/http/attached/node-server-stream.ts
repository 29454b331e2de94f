import type { ServerHttp2Stream } from 'node:http2';
import type { RequestHead, ResponseHead } from '../request.js';
import type { ServerStream, StreamOutcome, TunnelStreamHandler } from '../tunnel-stream.js';
import { responseHeaders } from './node-heads.js';
import { createH2Stream, type H2Stream, type StreamOwner } from './node-stream.js';

export interface BoundServerStream {
  readonly stream: ServerStream;
  /** This side reset it, so the reset is not counted against the peer. */
  readonly resetLocally: boolean;
  attach(handler: TunnelStreamHandler): void;
}

const ignoring: TunnelStreamHandler = {
  data: () => undefined,
  end: () => undefined,
  datagram: () => undefined,
  drain: () => undefined,
  closed: () => undefined,
};

/** The server's side of one request. */
export function createServerStream(
  http: ServerHttp2Stream,
  request: RequestHead,
  owner: StreamOwner,
  altSvc: string | undefined,
): BoundServerStream {
  let handler = ignoring;
  let responded = false;
  let resetLocally = false;
  const inner: H2Stream = createH2Stream(
    http,
    {
      data: (bytes, start, end) => handler.data(bytes, start, end),
      end: () => handler.end(),
      datagram: () => undefined,
      drain: () => handler.drain(),
      closed: (outcome: StreamOutcome) => handler.closed(outcome),
    },
    owner,
  );
  const gone = (): boolean => inner.over || http.destroyed || http.closed;
  const needsResponse = (): void => {
    // Node would answer 200 by itself.
    if (!responded && !gone()) throw new Error('respond() comes before content');
  };

  const stream: ServerStream = {
    version: 'h2',
    id: inner.id,
    request,
    nativeDatagrams: false,
    maxDatagramSize: 0,
    closed: inner.closed,
    get buffered() {
      return inner.buffered;
    },
    grant: inner.grant,
    write(bytes, start, end) {
      needsResponse();
      return inner.write(bytes, start, end);
    },
    writeFramed(head, headEnd, body, start, end) {
      needsResponse();
      return inner.writeFramed(head, headEnd, body, start, end);
    },
    end() {
      needsResponse();
      inner.end();
    },
    sendDatagram: inner.sendDatagram,
    reset(reason) {
      resetLocally = true;
      inner.reset(reason);
    },
    inform(head: ResponseHead) {
      if (!gone() && !responded) http.additionalHeaders(responseHeaders(head));
    },
    respond(head) {
      if (responded || gone()) return;
      responded = true;
      const headers = responseHeaders(head);
      // RFC 7838 section 3: it speaks of the origin that was asked, which is another one for a forwarded request.
      const forwarded = request.kind === 'plain' && request.scheme === 'http';
      if (altSvc !== undefined && !forwarded) headers['alt-svc'] ??= altSvc;
      const toHead = request.kind === 'plain' && request.method === 'HEAD';
      const bodiless = toHead || head.status === 204 || head.status === 304;
      try {
        http.respond(headers, bodiless ? { endStream: true } : { waitForTrailers: true });
        if (bodiless) inner.sendingDone();
      } catch {
        // A field that cannot be sent.
        stream.reset('internal-error');
      }
    },
  };
  return {
    stream,
    get resetLocally() {
      return resetLocally;
    },
    attach(given) {
      handler = given;
    },
  };
}
