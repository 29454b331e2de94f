import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { endToEndFields, fieldsOfRaw } from '../../http/tcp/connection-fields.js';
import { BautaError } from '../../protocol/bauta-error.js';
import { type Fields, fieldValues } from '../../protocol/fields.js';
import type { RequestHead } from '../../protocol/request.js';
import { formatTarget, parseTarget, type Target } from '../../protocol/target.js';
import type { AppConnection } from './app-connection.js';
import type { FrontContext } from './carry-tcp.js';
import { FRONT_NAME } from './http-answer.js';

export type PlainHead = Extract<RequestHead, { kind: 'plain' }>;

/** What is between the app and this proxy alone, or dealt with here. */
const onlyHere = new Set(['proxy-authorization', 'proxy-authenticate', 'expect', 'trailer']);
/** May be sent again where the connection that was kept turns out to have gone (RFC 9110 section 9.2.2). */
const repeatable = new Set(['GET', 'HEAD', 'OPTIONS']);

function passedOn(fields: Fields): [string, string][] {
  return endToEndFields(fields)
    .filter(([name]) => !onlyHere.has(name))
    .map(([name, value]) => [name, value]);
}

/** How often a TRACE or OPTIONS may still be passed on (RFC 9110 section 7.6.2); undefined where nothing is said. */
export function maxForwards({ method, fields }: PlainHead): number | undefined {
  if (method !== 'TRACE' && method !== 'OPTIONS') return undefined;
  const [value = '', ...more] = fieldValues(fields, 'max-forwards');
  return more.length === 0 && /^\d{1,9}$/.test(value) ? Number(value) : undefined;
}

/** RFC 9110 section 7.6.3; RFC 9112 section 3.2.2: Host is that of the target, whatever the app sent. */
function requestFields(request: IncomingMessage, head: PlainHead): string[] {
  const counted = maxForwards(head) !== undefined;
  const fields = passedOn(head.fields).filter(([name]) => !counted || name !== 'max-forwards');
  fields.unshift(['host', head.authority]);
  const left = maxForwards(head);
  if (left !== undefined) fields.push(['max-forwards', String(left - 1)]);
  fields.push(['via', `${request.httpVersion} ${FRONT_NAME}`]);
  // The framing is that of the message that was read: Node adds none to a method that usually has no content.
  if (request.headers['transfer-encoding'] !== undefined) fields.push(['transfer-encoding', 'chunked']);
  return fields.flat();
}

function responseFields(incoming: IncomingMessage): string[] {
  return [
    ...passedOn(fieldsOfRaw(incoming.rawHeaders)),
    ['via', `${incoming.httpVersion} ${FRONT_NAME}`],
  ].flat();
}

/** A request that was read whole but for its content, and where its answer goes. */
export interface ForwardedRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly head: PlainHead;
  readonly app: AppConnection;
  /** There is no answer from the target, and nothing was sent to the app. */
  readonly failed: (error: BautaError) => void;
}

/**
 * Sends an absolute-form request to its origin through the proxy, and the answer back (RFC 9110 section 7.6). An
 * answer that is cut off cuts the app's connection off. Throws `ERR_TARGET_SYNTAX`.
 */
export function forwardRequest(forwarded: ForwardedRequest, context: FrontContext): void {
  const target = parseTarget(forwarded.head.authority, 80);
  const { request } = forwarded;
  const empty =
    request.headers['transfer-encoding'] === undefined && (request.headers['content-length'] ?? '0') === '0';
  send(forwarded, target, context, empty && repeatable.has(request.method ?? ''));
}

/** What went wrong with the target, where the tunnel to it stands. */
function originError(thrown: unknown): BautaError {
  if (thrown instanceof BautaError) return thrown;
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return new BautaError('ERR_TUNNEL_RESET', {
    detail: `no answer that can be read: ${detail}`,
    cause: thrown,
  });
}

function send(forwarded: ForwardedRequest, target: Target, context: FrontContext, again: boolean): void {
  const { request, response, head, app } = forwarded;
  const subject = { app: app.remoteAddress, network: 'tcp', target: formatTarget(target) } as const;
  let over = false;
  let answer: IncomingMessage | undefined;
  const outgoing = http.request({
    agent: context.ground.httpAgent,
    host: target.host,
    port: target.port,
    method: head.method,
    path: head.path,
    headers: requestFields(request, head),
    setHost: false,
    maxHeaderSize: context.limits.headSize,
    insecureHTTPParser: false,
  });
  const left = (): void => {
    over = true;
    // A connection whose exchange is whole is kept for the next.
    if (!answer?.complete || !outgoing.writableFinished) outgoing.destroy();
  };
  const failed = (thrown: unknown): void => {
    if (over) return;
    over = true;
    response.off('close', left);
    if (response.headersSent) {
      app.socket.reset();
    } else if (again && outgoing.reusedSocket) {
      send(forwarded, target, context, false);
    } else {
      const error = originError(thrown);
      context.event({ type: 'tunnel-failed', ...subject, error });
      forwarded.failed(error);
    }
  };
  response.once('close', left);
  outgoing.once('response', (incoming) => {
    answer = incoming;
    response.sendDate = false;
    try {
      response.writeHead(incoming.statusCode ?? 502, incoming.statusMessage, responseFields(incoming));
    } catch (error) {
      failed(error);
      outgoing.destroy();
      return;
    }
    incoming.on('error', failed);
    incoming.once('close', () => {
      if (!incoming.complete) failed(new BautaError('ERR_TUNNEL_RESET'));
    });
    incoming.pipe(response);
  });
  outgoing.on('error', failed);
  // A 101 that nobody asked for ends it without an error.
  outgoing.once('close', () => {
    if (!answer) failed(new BautaError('ERR_TUNNEL_RESET'));
  });
  if (again) outgoing.end();
  else request.pipe(outgoing);
}
