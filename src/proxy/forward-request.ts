import type { ClientRequest, IncomingMessage } from 'node:http';
import type { RequestHead, ResponseHead } from '../http/request.js';
import type { ServerStream, TunnelStreamHandler } from '../http/tunnel-stream.js';
import { watchIdle } from '../tunnel/idle-watch.js';
import { Admission, type Admitted, type TargetAsk } from './admission.js';
import { answerRequest } from './answer-request.js';
import { clientFields, maxForwards, originFields, statedLength } from './forward-fields.js';
import { OriginRefusedError } from './origin-agents.js';
import { type Refusal, refusal, refusalText } from './refusal.js';
import { createRequestContent } from './request-content.js';
import type { Guest, ProxyParts } from './serve-request.js';
import { originTarget } from './target-route.js';

type PlainHead = Extract<RequestHead, { kind: 'plain' }>;

/** Methods that may be sent again, on a connection that may just have closed (RFC 9110 section 9.2.2). */
const repeatable: readonly string[] = ['GET', 'HEAD', 'OPTIONS'];
/** Connections that had closed unnoticed before one is made for the request. */
const TRIES = 3;

/**
 * Forwards a plain `http://` request: absolute form in HTTP/1.1 (RFC 9112 section 3.2.2), `:scheme` http in HTTP/2
 * and HTTP/3. Who asks, for what and whether it may is found out as for a CONNECT to host and port.
 */
export function forwardRequest(
  parts: ProxyParts,
  guest: Guest,
  stream: ServerStream,
  request: PlainHead,
): TunnelStreamHandler {
  const { clock, events, loops } = parts;
  const { method, fields, authority } = request;
  const began = clock.now();
  const gone = new AbortController();
  const length = statedLength(fields);
  const forwards = method === 'OPTIONS' ? maxForwards(fields) : undefined;
  const admission = new Admission(parts, guest, {
    kind: 'tcp',
    version: stream.version,
    fields,
    routed: originTarget(authority),
    challenge: 'proxy',
    check: () => wrongWith(request, length),
  } satisfies TargetAsk);

  let admitted: Admitted | undefined;
  let origin: ClientRequest | undefined;
  let answer: IncomingMessage | undefined;
  /** Once the request is refused: what throws away what still comes. */
  let refusing: TunnelStreamHandler | undefined;
  let over = false;
  let complete = false;
  let bytesOut = 0;
  let stopIdleWatch: (() => void) | undefined;
  const content = createRequestContent(stream, length === 'malformed' ? undefined : length, clock);

  const refuse = (refused: Refusal): void => {
    if (over || refusing) return;
    stopIdleWatch?.();
    const { head, body } = refusalText(refused, admission.refuse(refused), method);
    refusing = answerRequest(stream, head, body, clock);
    if (content.ended) refusing.end();
  };
  /** The origin broke off: before the head the client is told why, and after it that what it has is not all. */
  const broken = (refused: Refusal): void => {
    if (answer) stream.reset('internal-error');
    else refuse(refused);
  };

  const respond = (message: IncomingMessage): void => {
    answer = message;
    stream.respond({ status: message.statusCode ?? 502, fields: clientFields(message.rawHeaders, loops) });
    message.on('data', (chunk: Buffer) => {
      bytesOut += chunk.length;
      if (!stream.write(chunk, 0, chunk.length)) message.pause();
    });
    message.on('end', () => {
      if (!message.complete) return;
      complete = true;
      stream.end();
      content.discard();
    });
    message.on('error', () => stream.reset('internal-error'));
  };

  const send = (to: Admitted, tries: number): void => {
    const hasContent = content.hasContent();
    const reuse = !hasContent && repeatable.includes(method) && tries < TRIES;
    let sent: ClientRequest;
    try {
      const left = forwards === undefined ? undefined : forwards - 1;
      const { via } = to;
      const headers = originFields(
        { fields, authority, via, received: stream.version, forwardsLeft: left },
        loops,
      );
      // Without a length the content's end is told by chunks (RFC 9112 section 7.1).
      if (hasContent && length === undefined) headers['transfer-encoding'] = 'chunked';
      sent = guest.origins.request(to, { method, path: request.path, headers }, reuse);
    } catch (error) {
      refuse(refusal('ERR_REQUEST_MALFORMED', String(error)));
      return;
    }
    origin = sent;
    sent.on('information', ({ statusCode, rawHeaders }) => {
      const inform: ResponseHead = { status: statusCode, fields: clientFields(rawHeaders, loops) };
      if (!answer) stream.inform(inform);
    });
    sent.on('response', respond);
    sent.on('error', (error) => {
      if (over || sent !== origin) return;
      if (error instanceof OriginRefusedError) refuse(error.refusal);
      else if (sent.reusedSocket && !answer && reuse) send(to, tries + 1);
      else broken(refusal('ERR_TARGET_CLOSED', error.message, { proxyStatus: 'connection_terminated' }));
    });
    content.sendTo(sent);
  };

  const start = async (): Promise<void> => {
    const outcome = await admission.admit(gone);
    if (over) return;
    if (outcome.kind === 'refused') {
      refuse(outcome);
      return;
    }
    if (method === 'OPTIONS' && forwards === 0) {
      // RFC 9110 section 7.6.2: it is answered here.
      refusing = answerRequest(
        stream,
        { status: 200, fields: [['content-length', '0']] },
        new Uint8Array(),
        clock,
      );
      return;
    }
    admitted = outcome;
    admission.place?.forwards();
    await content.known(method);
    if (over) return;
    stopIdleWatch = watchIdle(
      clock,
      parts.limits().tcpHalfClosedTimeout,
      () => content.bytes + bytesOut,
      () => {
        origin?.destroy();
        broken(
          refusal('ERR_TARGET_TIMEOUT', 'nothing came for too long', {
            proxyStatus: 'connection_read_timeout',
          }),
        );
      },
    );
    send(outcome, 1);
  };
  // The handler has to be attached before the stream is used.
  queueMicrotask(() => void start());

  return {
    data(bytes, from, to) {
      if (refusing) refusing.data(bytes, from, to);
      else content.data(bytes, from, to);
    },
    end() {
      if (refusing) refusing.end();
      else content.end();
    },
    datagram() {
      // RFC 9297 section 2: what is no extended CONNECT has no datagrams.
      stream.reset('datagram-error');
    },
    drain: () => answer?.resume(),
    closed(outcome) {
      over = true;
      gone.abort();
      stopIdleWatch?.();
      content.closed();
      refusing?.closed(outcome);
      // Before everything was said it is cut off on the other side too.
      if (!complete || !content.ended) origin?.destroy();
      admission.release();
      if (!admitted || (refusing && !answer)) return;
      events.emit({
        event: 'request-forwarded',
        connection: guest.id,
        version: stream.version,
        user: admitted.user.name,
        client: guest.connection.remoteAddress,
        target: admitted.target,
        method,
        status: answer?.statusCode,
        complete: complete && outcome.kind === 'ended',
        duration: clock.now() - began,
        bytesIn: content.bytes,
        bytesOut,
      });
    },
  };
}

function wrongWith({ method }: PlainHead, length: ReturnType<typeof statedLength>): Refusal | undefined {
  if (length === 'malformed') return refusal('ERR_REQUEST_MALFORMED', 'the length is not one number');
  // It would show the client's fields, and what proxies added to them, to whoever asks.
  if (method === 'TRACE') return refusal('ERR_PROTOCOL_UNSUPPORTED', 'TRACE is not forwarded');
  return undefined;
}
