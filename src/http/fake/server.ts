import { codeOf } from '../../protocol/reset-reason.js';
import type { QuicConnection, QuicConnectionHandler } from '../../quic/connection.js';
import type { HttpAccept, HttpServerConnection, HttpServerConnectionHandler } from '../connection.js';
import type { RequestHead, ResponseHead } from '../request.js';
import type { ServerStream } from '../tunnel-stream.js';
import { createFakeSession, type FakeVersion } from './session.js';
import { createFakeStream, type FakeStream } from './stream.js';

export interface FakeServerOptions {
  readonly version: FakeVersion;
  readonly datagrams: boolean;
  soon(run: () => void): void;
}

const closeCodes = {
  shutdown: codeOf('no-error', 'h3'),
  unauthenticated: codeOf('no-error', 'h3'),
  'excessive-load': codeOf('excessive-load', 'h3'),
  'internal-error': codeOf('internal-error', 'h3'),
} as const;

/** The server's end of a fake connection. */
export function createFakeServer(
  quic: QuicConnection,
  options: FakeServerOptions,
  accept: HttpAccept,
): {
  readonly connection: HttpServerConnection;
  readonly quicHandler: QuicConnectionHandler;
  /** STOP_SENDING alone, as a server sends it that wants no more of a request. */
  stopPeer(stream: ServerStream): void;
} {
  const made = new Map<ServerStream, FakeStream>();
  let nextId = 0;
  let rejectFrom = Number.POSITIVE_INFINITY;

  const { session, quicHandler } = createFakeSession(
    quic,
    { version: options.version, datagrams: () => options.datagrams, soon: options.soon },
    {
      accept(quicStream) {
        const { id } = quicStream;
        nextId = Math.max(nextId, id + 4);
        const stream = createFakeStream(session, {
          head(value) {
            answer(stream, value as RequestHead);
            return true;
          },
        });
        stream.attach(quicStream);
        if (id >= rejectFrom) stream.tunnel.reset('refused');
        else session.add(stream);
        return stream.quicHandler;
      },
      // A client's GOAWAY only says that it will open no more, which it keeps by itself.
      goaway: () => undefined,
      closed: (close) => handler.closed?.(close),
    },
  );

  const answer = (stream: FakeStream, request: RequestHead): void => {
    let answered = false;
    const server: ServerStream = Object.assign(stream.tunnel, {
      request,
      inform(head: ResponseHead) {
        if (answered) throw new Error('the final response was given');
        if (head.status < 100 || head.status >= 200 || head.status === 101) {
          throw new RangeError(`not an informational status: ${head.status}`);
        }
        stream.sendHead(head);
      },
      respond(head: ResponseHead) {
        if (answered) throw new Error('the final response was given');
        if (head.status < 200 || head.status > 599)
          throw new RangeError(`not a final status: ${head.status}`);
        answered = true;
        stream.sendHead(head);
        stream.contentAllowed = true;
      },
    });
    made.set(server, stream);
    server.closed.then(() => made.delete(server));
    stream.handle(handler.request(server));
  };

  const connection: HttpServerConnection = {
    version: options.version,
    id: quic.id,
    get remoteAddress() {
      return quic.remoteAddress;
    },
    localAddress: quic.localAddress,
    serverName: quic.serverName,
    peerCertificates: quic.peerCertificates,
    get streams() {
      return session.streams.size;
    },
    statistics: async () => (options.version === 'h3' ? quic.statistics() : undefined),
    drain() {
      if (rejectFrom !== Number.POSITIVE_INFINITY) return;
      rejectFrom = nextId;
      session.goaway(rejectFrom);
      session.closeWhenIdle();
    },
    close(reason) {
      session.close(closeCodes[reason], reason);
    },
    closed: session.closed,
  };
  const handler: HttpServerConnectionHandler = accept(connection);
  return {
    connection,
    quicHandler,
    stopPeer(stream) {
      made.get(stream)?.stopPeer('no-error');
    },
  };
}
