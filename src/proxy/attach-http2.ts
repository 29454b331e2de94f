import type { EventEmitter } from 'node:events';
import type { Http2ServerRequest, Http2ServerResponse, Http2Session, ServerHttp2Stream } from 'node:http2';
import { requestOf } from '../http/attached/node-heads.js';
import { createServerStream } from '../http/attached/node-server-stream.js';
import type { StreamOwner } from '../http/attached/node-stream.js';
import type { ConnectionClose, HttpAccept } from '../http/connection.js';
import { createWriteMemory, SLABS_KEPT, type WriteMemory } from '../http/tcp/slab-writer.js';
import { socketAddress } from '../http/tcp/socket-identity.js';
import { type BorrowedConnection, borrowConnection } from './borrowed-connection.js';

type Listeners = readonly (readonly [event: string, listener: (...values: never[]) => void])[];

/**
 * Takes the tunnels that clients ask for over HTTP/2 on somebody else's server (RFC 8441); all other streams
 * stay with that server. A `stream` listener of the server's own sees tunnels too and has to leave them alone.
 * Returns the listeners to add.
 */
export function http2Tunnels(
  server: EventEmitter,
  isTunnel: (protocol: string) => boolean,
  nextId: () => number,
  accept: HttpAccept,
): Listeners {
  const borrowed = new Map<Http2Session, BorrowedConnection>();
  const memory = createWriteMemory(SLABS_KEPT);

  const borrow = (session: Http2Session): BorrowedConnection => {
    const { remoteAddress, remotePort, localAddress, localPort } = session.socket;
    const connection = borrowConnection(
      {
        version: 'h2',
        id: nextId(),
        remoteAddress: socketAddress(remoteAddress, remotePort),
        localAddress: socketAddress(localAddress, localPort),
        serverName: undefined,
      },
      accept,
      () => borrowed.delete(session),
    );
    borrowed.set(session, connection);
    // Here, and not when a session opens: it may be older than the proxy.
    session.once('close', () => connection.lost(peerClosed));
    return connection;
  };

  /** What the tunnel itself does on `wantTrailers`; Node's compatibility layer must not do its own as well. */
  const trailers = new WeakMap<ServerHttp2Stream, readonly unknown[]>();
  const keepOwnTrailers = (http: ServerHttp2Stream): void => {
    const own = trailers.get(http) ?? [];
    for (const listener of http.listeners('wantTrailers')) {
      if (!own.includes(listener)) http.off('wantTrailers', listener as () => void);
    }
  };

  const stream = (http: ServerHttp2Stream, headers: object, _flags: number, raw: string[]): void => {
    const protocol = protocolOf(headers);
    const request = requestOf(raw);
    const { session: owner } = http;
    if (protocol === undefined || !isTunnel(protocol) || !request || !owner) return;
    const connection = borrowed.get(owner) ?? borrow(owner);
    keepOwnTrailers(http);
    const made = createServerStream(http, request, new Owner(owner, memory), undefined);
    trailers.set(http, http.listeners('wantTrailers'));
    made.attach(connection.request(made.stream));
  };

  // Node's compatibility layer answers each CONNECT with 405 unless somebody listens.
  const connect = (request: Http2ServerRequest, response: Http2ServerResponse): void => {
    if (request.httpVersionMajor !== 2) return;
    const protocol = protocolOf(request.headers);
    if (protocol !== undefined && isTunnel(protocol)) {
      keepOwnTrailers(response.stream);
      return;
    }
    if (server.listenerCount('connect') > 1) return;
    response.writeHead(405).end();
  };

  return [
    ['stream', stream],
    ['connect', connect],
  ];
}

const peerClosed: ConnectionClose = { reason: 'peer-closed', code: undefined, detail: 'closed' };

function protocolOf(headers: object): string | undefined {
  const protocol: unknown = Reflect.get(headers, ':protocol');
  return typeof protocol === 'string' ? protocol.toLowerCase() : undefined;
}

/** A class because there is one for each tunnel. */
class Owner implements StreamOwner {
  readonly lastProcessed = undefined;
  readonly losing: StreamOwner['losing'] = new Set();

  constructor(
    private readonly session: Http2Session,
    readonly memory: WriteMemory,
  ) {}

  get loss(): ConnectionClose | undefined {
    return this.session.destroyed ? peerClosed : undefined;
  }
}
