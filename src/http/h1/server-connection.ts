import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../../clock/clock.js';
import type { EngineThread } from '../../quic/engine-thread.js';
import type { TcpSocket, TcpSocketHandler } from '../../quic/tcp-socket.js';
import { Line, type Place } from '../../tables/line.js';
import type { ConnectionClose, HttpAccept, HttpServerConnection } from '../connection.js';
import { endAndLinger, hangUpAndLinger, lastAnswerTime } from '../tcp/linger.js';
import { createLossRecord, errnoOf, recordError, recordTcpEnd } from '../tcp/loss.js';
import { ServerFace } from '../tcp/server-face.js';
import type { SocketIdentity } from '../tcp/socket-identity.js';
import { createSocketStream, type SocketStream } from '../tcp/socket-stream.js';
import { bindTcpConnection, type TcpConnection } from '../tcp/tcp-connection.js';
import { responseText } from './message-text.js';
import {
  connectRequest,
  hasContent,
  plainRequest,
  type Received,
  upgradeRequest,
  withoutUpgrade,
} from './request-head.js';
import { createServerExchange } from './server-exchange.js';
import { createServerTunnel } from './server-tunnel.js';

export interface H1ServerOptions {
  readonly clock: Clock;
  /** From the handshake to the first request head, and from one to the next, milliseconds. */
  readonly requestHeadTimeout: number;
  /** Value of Alt-Svc on every final response (RFC 7838). */
  readonly altSvc: string | undefined;
  /** Bytes of a request head; a larger one is answered with 431. */
  readonly headSize: number;
  /** Upgrade tokens (lower case) whose requests are shown as `extended`; others are ordinary requests. */
  readonly isTunnelToken: (token: string) => boolean;
}

/** Requests of a connection that wait for their responses, at most. */
const maxPipelined = 64;

/** What the shared server tells of one connection. */
interface Events {
  request(request: IncomingMessage, response: ServerResponse): void;
  upgrade(request: IncomingMessage, head: Buffer): void;
  connect(request: IncomingMessage, head: Buffer): void;
  unreadable(error: Error): void;
}

export interface H1Server {
  /** Serves a connection from which nothing was read yet; give `socketHandler` to the socket. */
  serve(socket: TcpSocket, identity: H1ServerIdentity, accept: HttpAccept): H1Served;
}

export interface H1ServerIdentity extends SocketIdentity {
  /** As of `HttpServerConnection`. */
  readonly thread?: EngineThread | undefined;
}

export interface H1Served {
  readonly connection: HttpServerConnection;
  readonly socketHandler: TcpSocketHandler;
}

/** HTTP/1.1 for the connections of a listener (RFC 9112): one parser of Node's, many connections. */
export function createH1Server(options: H1ServerOptions): H1Server {
  const connections = new WeakMap<Duplex, Events>();
  // Newer releases of Node ask before they leave HTTP; older ones leave it for every upgrade.
  const onlyTunnels = {
    shouldUpgradeCallback: (request: IncomingMessage) =>
      asksForTunnel(request, options) && !hasContent(request),
  };
  const server = http.createServer({
    ...onlyTunnels,
    maxHeaderSize: options.headSize,
    insecureHTTPParser: false,
    keepAliveTimeout: 0,
    headersTimeout: 0,
    requestTimeout: 0,
  });
  // Node drops the fields over this number in silence; the size above is the limit.
  server.maxHeadersCount = 0;
  server.on('request', (request, response) => connections.get(request.socket)?.request(request, response));
  server.on('upgrade', (request, _socket, head) => connections.get(request.socket)?.upgrade(request, head));
  server.on('connect', (request, _socket, head) => connections.get(request.socket)?.connect(request, head));
  server.on('clientError', (error, socket) => connections.get(socket)?.unreadable(error));
  const parse = (stream: Duplex, events: Events): void => {
    connections.set(stream, events);
    server.emit('connection', stream);
  };
  return {
    serve(socket, identity, accept) {
      const { attach, handler } = bindTcpConnection();
      return {
        connection: serveConnection(attach(socket), identity, accept, options, parse),
        socketHandler: handler,
      };
    },
  };
}

function asksForTunnel(request: IncomingMessage, options: H1ServerOptions): boolean {
  const { upgrade } = request.headers;
  return upgrade !== undefined && options.isTunnelToken(upgrade.trim().toLowerCase());
}

function serveConnection(
  tcp: TcpConnection,
  identity: H1ServerIdentity,
  accept: HttpAccept,
  options: H1ServerOptions,
  parse: (stream: Duplex, events: Events) => void,
): HttpServerConnection {
  const { clock, altSvc } = options;
  const record = createLossRecord();
  /** Each is called when the connection is lost. */
  const exchanges = new Line<() => void>();
  let tunnelOpen = false;
  let draining = false;
  // A malformed request was answered, and the connection is about to close.
  let refused = false;
  let headTimer: Timer | undefined;
  let whenIdle: (() => void) | undefined;
  let resolveClosed: (close: ConnectionClose) => void = () => undefined;
  const closed = new Promise<ConnectionClose>((resolve) => {
    resolveClosed = resolve;
  });

  const awaitHead = (): void => {
    clock.clearTimeout(headTimer);
    headTimer = clock.setTimeout(() => {
      record.record('closed', undefined, 'no request in time');
      endConnection();
    }, options.requestHeadTimeout);
  };
  const endConnection = (time?: number): void => {
    if (!tcp.writable) return;
    stream.detach();
    endAndLinger(tcp, clock, time);
  };
  const done = (exchange: Place<() => void>): void => {
    if (!exchanges.leave(exchange) || exchanges.size > 0 || !tcp.writable) return;
    if (whenIdle) {
      const next = whenIdle;
      whenIdle = undefined;
      next();
    } else if (draining && !tunnelOpen) endConnection();
    else awaitHead();
  };
  const answerAndClose = (status: number): void => {
    refused = true;
    clock.clearTimeout(headTimer);
    stream.detach();
    if (tcp.writable) {
      const own: [string, string][] = [
        ['connection', 'close'],
        ['content-length', '0'],
      ];
      const text = responseText(status, own, []);
      tcp.socket.write(text, 0, text.length);
    }
    endConnection();
  };
  /** The parser reads on; `first` came before. */
  const readRequests = (first: readonly Buffer[]): SocketStream => {
    const made = createSocketStream(tcp, first);
    // The connection itself tells of its loss.
    made.on('error', () => undefined);
    // Node ends it behind the last answer, and after the peer's end.
    made.on('finish', () => endConnection(lastAnswerTime));
    parse(made, events);
    return made;
  };
  const tunnel = (received: Received, request: IncomingMessage, head: Buffer): void => {
    if (received.kind === 'malformed') {
      answerAndClose(received.status);
      return;
    }
    const made = createServerTunnel({
      connection: tcp,
      record,
      unread: [head, ...stream.detach()],
      bareFinEnds: received.head.kind === 'connect',
      request: received.head,
      token: received.token,
      altSvc,
      closing: () => draining,
      opened() {
        tunnelOpen = true;
      },
      refused(rest) {
        done(exchange);
        // RFC 9931 section 4: after a refused upgrade the connection stays HTTP/1.1.
        if (tcp.writable) stream = readRequests(rest);
      },
      close: endConnection,
    });
    const exchange = exchanges.join(made.lose);
    request.resume();
    made.attach(handler.request(made.stream));
    made.stream.closed.then(() => {
      if (tunnelOpen || tcp.over) exchanges.leave(exchange);
    });
  };
  const inTurn = (act: () => void): void => {
    clock.clearTimeout(headTimer);
    if (exchanges.size > 0) whenIdle = act;
    else act();
  };

  const events: Events = {
    request(request, response) {
      clock.clearTimeout(headTimer);
      if (exchanges.size >= maxPipelined) {
        record.record('closed', undefined, 'too many requests at once');
        tcp.reset();
        return;
      }
      // Of what came in one piece with the last request there may be more.
      if (refused || !tcp.writable) return;
      // A tunnel's upgrade that Node did not take for one, because there is content behind it.
      const received = asksForTunnel(request, options) ? upgradeRequest(request) : plainRequest(request);
      if (received.kind === 'malformed') {
        refused = true;
        response.writeHead(received.status, { connection: 'close', 'content-length': 0 });
        response.end();
        return;
      }
      const made = createServerExchange({
        request,
        response,
        connection: tcp,
        record,
        head: received.head,
        altSvc,
        closing: () => draining,
        first: exchanges.size === 0,
      });
      const exchange = exchanges.join(made.lose);
      made.attach(handler.request(made.stream));
      made.stream.closed.then(() => done(exchange));
    },
    upgrade(request, head) {
      inTurn(() => {
        if (asksForTunnel(request, options)) tunnel(upgradeRequest(request), request, head);
        // RFC 9110 section 7.8: an unknown protocol is ignored, and the request answered as it is.
        else stream = readRequests([withoutUpgrade(request), head, ...stream.detach()]);
      });
    },
    connect: (request, head) => inTurn(() => tunnel(connectRequest(request), request, head)),
    unreadable(error) {
      const code = errnoOf(error);
      if (refused) endConnection();
      else if (code === 'ECONNRESET' || exchanges.size > 0 || !tcp.writable) {
        recordError(record, error);
        tcp.reset();
      } else {
        record.record('protocol-error', undefined, error.message);
        answerAndClose(code === 'HPE_HEADER_OVERFLOW' ? 431 : 400);
      }
    },
  };

  tcp.onClosed = (end) => {
    clock.clearTimeout(headTimer);
    recordTcpEnd(record, end);
    record.record(tunnelOpen || draining ? 'closed' : 'peer-closed', undefined, 'closed');
    setImmediate(() => {
      const close = record.cause ?? { reason: 'closed', code: undefined, detail: '' };
      handler.closed?.(close);
      resolveClosed(close);
    });
  };

  const drain = (): void => {
    draining = true;
    if (exchanges.size === 0 && !tunnelOpen) endConnection();
  };
  const connection = new ServerFace('h1', identity, exchanges, closed, drain, (reason) => {
    record.record('closed', undefined, reason);
    if (exchanges.size === 0 && tcp.writable) {
      endConnection();
      return;
    }
    for (const lose of exchanges) lose();
    hangUpAndLinger(tcp, clock);
  });
  const handler = accept(connection);
  let stream = readRequests([]);
  awaitHead();
  return connection;
}
