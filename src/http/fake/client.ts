import { codeOf } from '../../protocol/reset-reason.js';
import type { QuicConnection, QuicConnectionHandler } from '../../quic/connection.js';
import type {
  ConnectionClose,
  HttpClientConnection,
  HttpClientConnectionHandler,
  PeerSettings,
} from '../connection.js';
import type { RequestHead, ResponseHead } from '../request.js';
import type { ClientStreamHandler, StreamOutcome, TunnelStream } from '../tunnel-stream.js';
import { createFakeSession, type FakeVersion } from './session.js';
import { createFakeStream, type FakeStream } from './stream.js';

export interface FakeClientOptions {
  readonly version: FakeVersion;
  readonly settings: PeerSettings;
  readonly now: () => number;
  soon(run: () => void): void;
}

/** The client's end of a fake connection. */
export function createFakeClient(
  quic: QuicConnection,
  options: FakeClientOptions,
  handler: HttpClientConnectionHandler,
): { readonly connection: HttpClientConnection; readonly quicHandler: QuicConnectionHandler } {
  const waitingPings = new Set<(error: Error) => void>();
  let draining = false;
  let close: ConnectionClose | undefined;

  const { session, quicHandler } = createFakeSession(
    quic,
    { version: options.version, datagrams: () => options.settings.datagrams, soon: options.soon },
    {
      accept() {
        throw new Error('a server opens no request streams');
      },
      goaway(from) {
        if (draining) return;
        draining = true;
        handler.draining?.();
        const unprocessed: StreamOutcome = {
          kind: 'lost',
          reason: 'peer-closed',
          detail: 'left unprocessed by GOAWAY',
        };
        for (const stream of [...session.streams]) {
          const { id } = stream.tunnel;
          if (id < 0 || id >= from) stream.abandon(unprocessed);
        }
        session.closeWhenIdle();
      },
      closed(reason) {
        close = reason;
        for (const fail of [...waitingPings]) fail(new Error('the connection is gone'));
        handler.closed?.(reason);
      },
    },
  );
  const usable = (): boolean => !draining && !session.over && close === undefined && !closeAsked;
  let closeAsked = false;

  const open = (head: RequestHead, streamHandler: ClientStreamHandler): TunnelStream => {
    const stream: FakeStream = createFakeStream(session, {
      opened: (id) => streamHandler.opened?.(id),
      head(value) {
        const response = value as ResponseHead;
        if (response.status < 200) {
          streamHandler.informational?.(response);
          return false;
        }
        streamHandler.response(response);
        return true;
      },
    });
    stream.handle(streamHandler);
    if (!usable()) {
      const reason = close?.reason ?? (closeAsked ? 'closed' : 'peer-closed');
      options.soon(() => stream.finish({ kind: 'lost', reason, detail: 'the connection is not usable' }));
      return stream.tunnel;
    }
    stream.attach(quic.openBidirectional(stream.quicHandler));
    session.add(stream);
    stream.sendHead(head);
    stream.contentAllowed = true;
    return stream.tunnel;
  };

  const connection: HttpClientConnection = {
    version: options.version,
    get remoteAddress() {
      return quic.remoteAddress;
    },
    settings: options.settings,
    get usable() {
      return usable();
    },
    get streams() {
      return session.streams.size;
    },
    open,
    ping(signal) {
      return new Promise((resolve, reject) => {
        const settled = (): void => {
          waitingPings.delete(fail);
          signal.removeEventListener('abort', aborted);
        };
        const fail = (error: Error): void => {
          settled();
          reject(error);
        };
        const aborted = (): void => fail(new Error('the ping was aborted'));
        if (signal.aborted) return aborted();
        if (session.over || closeAsked) return fail(new Error('the connection is gone'));
        signal.addEventListener('abort', aborted);
        waitingPings.add(fail);
        const start = options.now();
        session.ping(() => {
          settled();
          resolve(options.now() - start);
        });
      });
    },
    statistics: async () => (options.version === 'h3' ? quic.statistics() : undefined),
    drain() {
      if (draining) return;
      draining = true;
      session.goaway(0);
      session.closeWhenIdle();
    },
    async close() {
      closeAsked = true;
      session.close(codeOf('no-error', 'h3'), '');
      await session.closed;
    },
    closed: session.closed,
  };
  return { connection, quicHandler };
}
