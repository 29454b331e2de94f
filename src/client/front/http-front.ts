import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Timer } from '../../clock/clock.js';
import { responseText } from '../../http/h1/message-text.js';
import { connectRequest, plainRequest } from '../../http/h1/request-head.js';
import { parseBasicCredentials } from '../../protocol/basic-credentials.js';
import type { BautaError } from '../../protocol/bauta-error.js';
import { SOCKS_VERSION } from '../../protocol/socks5.js';
import { parseTarget } from '../../protocol/target.js';
import { createByteDuplex } from '../../tunnel/tcp/byte-duplex.js';
import { socketSide, socketSideHandler } from '../../tunnel/tcp/socket-side.js';
import { dialError } from '../dial-failure.js';
import type { AppConnection } from './app-connection.js';
import { carryTcp, type FrontContext } from './carry-tcp.js';
import { forwardRequest, maxForwards } from './forward-request.js';
import {
  answerOfError,
  foreignHost,
  type HttpAnswer,
  lastRecipient,
  loginWanted,
  malformedRequest,
  nothingHere,
  refusalOf,
} from './http-answer.js';
import { isLocalUser, type LocalUser } from './local-user.js';
import { PAC_PATH, pacHost, proxyAutoConfiguration } from './pac.js';
import { SOCKS4 } from './socks-front.js';

export interface HttpContext extends FrontContext {
  /** Who may use it; undefined for everybody who can connect. */
  readonly user: LocalUser | undefined;
}

export interface HttpFront {
  /** Takes the connection over. */
  serve(app: AppConnection): void;
}

/** Requests of one connection that wait for their answers, at most. */
const PIPELINED = 16;
/** A TLS record with a handshake (RFC 8446 section 5.1). */
const TLS_HANDSHAKE = 22;

/** One app's connection in HTTP. */
interface Session {
  request(request: IncomingMessage, response: ServerResponse): void;
  connect(request: IncomingMessage, head: Buffer): void;
  unreadable(error: Error): void;
}

function answerText({ status, fields, body }: HttpAnswer, withBody: boolean): Buffer {
  const content = Buffer.from(withBody ? body : '');
  const own: [string, string][] = [
    ['connection', 'close'],
    ['content-type', 'text/plain; charset=utf-8'],
    ['content-length', String(content.length)],
  ];
  return Buffer.concat([responseText(status, own, fields), content]);
}

/** Answers and closes the connection: what follows a refused request is never read as one. */
function answer(response: ServerResponse, { status, fields, body }: HttpAnswer): void {
  if (response.headersSent) return;
  response.writeHead(status, [
    ...fields.flat(),
    ...['connection', 'close', 'content-type', 'text/plain; charset=utf-8'],
    ...['content-length', String(Buffer.byteLength(body))],
  ]);
  response.end(body);
}

/**
 * An HTTP proxy for apps: CONNECT, and requests in absolute form for `http://` (RFC 9112 section 3.2). What it
 * serves by itself is the PAC file; anything else in origin form is 404, and no answer lets a page of another
 * origin read it. Failures are answered with the status and the Proxy-Status that the error table has for them.
 */
export function createHttpFront(context: HttpContext): HttpFront {
  const sessions = new WeakMap<Duplex, Session>();
  const server = http.createServer({
    maxHeaderSize: context.limits.headSize,
    insecureHTTPParser: false,
    // It is looked at here, where a refusal is told.
    requireHostHeader: false,
    // The limits here are those of the session, by the clock that it was given.
    keepAliveTimeout: 0,
    headersTimeout: 0,
    requestTimeout: 0,
  });
  server.maxHeadersCount = 0;
  server.on('request', (request, response) => sessions.get(request.socket)?.request(request, response));
  server.on('connect', (request, _socket, head) => sessions.get(request.socket)?.connect(request, head));
  server.on('clientError', (error, socket) => sessions.get(socket)?.unreadable(error));
  return {
    serve(app) {
      const { clock, event } = context;
      if (app.unread[0] === TLS_HANDSHAKE) {
        event({
          type: 'app-refused',
          app: app.remoteAddress,
          detail: 'TLS: the proxy of the app has to be set with http://, not https://',
        });
        app.hangUp();
        return;
      }
      if (app.unread[0] === SOCKS_VERSION || app.unread[0] === SOCKS4) {
        event({
          type: 'app-refused',
          app: app.remoteAddress,
          detail: 'not HTTP but SOCKS: set the app to an HTTP proxy (http://), or use --mixed',
        });
        app.hangUp();
        return;
      }
      const { duplex, handler, attach } = createByteDuplex({ clock });
      duplex.on('error', () => undefined);
      // After the last answer the app may take its time to read, and no more than that.
      duplex.on('finish', () => app.hangUp());
      sessions.set(duplex, createSession(app, duplex, context));
      attach(socketSide(app.socket));
      server.emit('connection', duplex);
      app.handOver(socketSideHandler(handler));
    },
  };
}

function createSession(app: AppConnection, duplex: Duplex, context: HttpContext): Session {
  const { clock, limits, event } = context;
  let waiting = 0;
  let timer: Timer | undefined;

  const refused = (detail: string): void => event({ type: 'app-refused', app: app.remoteAddress, detail });
  const finish = (last: HttpAnswer, withBody = true): void => {
    clock.clearTimeout(timer);
    app.write(answerText(last, withBody));
    app.hangUp();
  };
  const awaitRequest = (milliseconds: number): void => {
    clock.clearTimeout(timer);
    timer = clock.setTimeout(() => {
      refused('no whole request in time');
      finish(refusalOf(408, 'No whole request came in time.'));
    }, milliseconds);
  };
  const mayAsk = (request: IncomingMessage): boolean => {
    const { user } = context;
    if (!user) return true;
    const given = parseBasicCredentials(request.headers['proxy-authorization'] ?? '');
    return given !== undefined && isLocalUser(user, given);
  };
  const serveItself = (request: IncomingMessage, response: ServerResponse): void => {
    const host = pacHost(request.headers.host ?? '');
    if (host === undefined) answer(response, foreignHost);
    else if (request.url !== PAC_PATH || (request.method !== 'GET' && request.method !== 'HEAD')) {
      answer(response, nothingHere);
    } else {
      response.writeHead(200, {
        'content-type': 'application/x-ns-proxy-autoconfig',
        'cache-control': 'no-store',
      });
      response.end(proxyAutoConfiguration(host));
    }
  };

  app.over.addEventListener('abort', () => clock.clearTimeout(timer), { once: true });
  awaitRequest(limits.requestTimeout);
  return {
    request(request, response) {
      clock.clearTimeout(timer);
      waiting += 1;
      if (waiting > PIPELINED) {
        refused(`more than ${PIPELINED} requests at once`);
        app.socket.reset();
        return;
      }
      response.on('close', () => {
        waiting -= 1;
        if (waiting === 0 && !app.over.aborted) awaitRequest(limits.keepAliveTimeout);
      });
      const received = plainRequest(request);
      if (received.kind === 'malformed') {
        refused('a malformed request');
        answer(response, refusalOf(400, 'The request is malformed.'));
      } else if (received.head.kind === 'plain' && /^[/*]/.test(request.url ?? '')) {
        serveItself(request, response);
      } else if (!mayAsk(request)) {
        refused('no valid user and password');
        answer(response, loginWanted);
      } else if (received.head.kind === 'plain' && maxForwards(received.head) === 0) {
        // RFC 9110 section 7.6.2: it is for whoever has it now. What came is not shown back: it may have a login.
        answer(
          response,
          received.head.method === 'OPTIONS' ? lastRecipient : refusalOf(501, 'TRACE ends here.'),
        );
      } else if (received.head.kind === 'plain' && received.head.scheme === 'http') {
        const { head } = received;
        const failed = (error: BautaError): void => answer(response, answerOfError(error));
        try {
          forwardRequest({ request, response, head, app, failed }, context);
        } catch (error) {
          refused(dialError(error).message);
          failed(dialError(error));
        }
      } else {
        refused(`a request for ${received.head.kind === 'plain' ? received.head.scheme : '?'}://`);
        answer(response, refusalOf(501, 'Only http:// is forwarded; CONNECT is for all else.'));
      }
    },
    connect(request, head) {
      clock.clearTimeout(timer);
      if (waiting > 0 || duplex.writableLength > 0) {
        refused('CONNECT before the answer to another request');
        app.socket.reset();
        return;
      }
      void connectTunnel(request, head).catch((thrown: unknown) => {
        if (app.over.aborted) return;
        const error = dialError(thrown);
        if (error.code === 'ERR_REQUEST_MALFORMED' || error.code === 'ERR_TARGET_SYNTAX')
          refused(error.message);
        finish(answerOfError(error));
      });
    },
    unreadable(error) {
      if (app.over.aborted || duplex.destroyed || waiting > 0) {
        app.socket.reset();
        return;
      }
      refused(`not HTTP: ${error.message}`);
      const tooLong = 'code' in error && error.code === 'HPE_HEADER_OVERFLOW';
      finish(tooLong ? refusalOf(431, 'The request head is too long.') : refusalOf(400, 'This is not HTTP.'));
    },
  };

  async function connectTunnel(request: IncomingMessage, head: Buffer): Promise<void> {
    if (!mayAsk(request)) {
      refused('no valid user and password');
      finish(loginWanted);
      return;
    }
    const received = connectRequest(request);
    if (received.kind === 'malformed') throw malformedRequest('CONNECT wants HOST:PORT and no content');
    const { host, port } = parseTarget(received.head.authority);
    const early = [head];
    const takeEarly = (): Buffer => {
      const rest: unknown = duplex.read();
      if (Buffer.isBuffer(rest)) early.push(rest);
      return Buffer.concat(early.splice(0));
    };
    await carryTcp(app, { host, port }, context, () => ({
      answer: Buffer.from('HTTP/1.1 200 Connection Established\r\n\r\n'),
      takeEarly,
    }));
  }
}
