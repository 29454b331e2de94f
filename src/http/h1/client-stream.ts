import type { ClientRequest, IncomingMessage } from 'node:http';
import { fieldValues } from '../../protocol/fields.js';
import type { ResetReason } from '../../protocol/reset-reason.js';
import type { RequestHead, ResponseHead } from '../request.js';
import { endToEndFields, fieldsOfRaw } from '../tcp/connection-fields.js';
import { type CreditGate, createCreditGate } from '../tcp/credit-gate.js';
import { errnoOf, type LossRecord } from '../tcp/loss.js';
import type { SocketStream } from '../tcp/socket-stream.js';
import type { TcpConnection } from '../tcp/tcp-connection.js';
import { withBuffered } from '../tcp/with-buffered.js';
import type { ClientStreamHandler, StreamOutcome, TunnelStream } from '../tunnel-stream.js';
import { createRawTunnel, type RawTunnel } from './raw-tunnel.js';
import { listMembers } from './request-head.js';

const highWater = 64 * 1024;
const lowWater = 16 * 1024;

/** Methods whose requests carry no content here. */
const bodiless = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']);

export interface ClientStreamOptions {
  readonly head: RequestHead;
  readonly request: ClientRequest;
  readonly connection: TcpConnection;
  /** What the request is sent on. */
  readonly socket: SocketStream;
  readonly record: LossRecord;
  /** The response has come to its end; `reusable` tells whether the connection takes another request. */
  done(reusable: boolean): void;
}

export interface BoundClientStream {
  readonly stream: TunnelStream;
  /** The connection is gone; the cause is in the record. */
  lose(): void;
  /** What came was whole, and the last of it waits for credit: the connection is not needed for that. */
  delivering(): boolean;
}

/** The client's side of one request. */
export function createClientStream(
  options: ClientStreamOptions,
  handler: ClientStreamHandler,
): BoundClientStream {
  const { head, request, connection, socket, record } = options;
  const sendsContent = head.kind === 'plain' && !bodiless.has(head.method);
  // Written before a tunnel's response (RFC 9931 section 4: kept until it came).
  const early: Buffer[] = [];
  let earlyBytes = 0;
  let credit = 0;
  let sendingEnded = false;
  let blocked = false;
  let tunnel: RawTunnel | undefined;
  let gate: CreditGate | undefined;
  /** Whether all of the answer's content has come. */
  let whole = (): boolean => false;
  let answered = false;
  let outcome: StreamOutcome | undefined;
  let resolveClosed: (outcome: StreamOutcome) => void = () => undefined;
  const closed = new Promise<StreamOutcome>((resolve) => {
    resolveClosed = resolve;
  });
  const finish = (value: StreamOutcome): void => {
    if (outcome) return;
    outcome = value;
    early.length = 0;
    gate?.stop();
    handler.closed(value);
    resolveClosed(value);
  };
  const lose = (): void => {
    tunnel?.lose();
    record.record('reset', undefined, 'the connection was cut');
    const { cause } = record;
    if (cause) finish({ kind: 'lost', reason: cause.reason, detail: cause.detail });
  };
  const abort = (reason: ResetReason): void => {
    if (outcome) return;
    record.record(reason === 'message-error' ? 'protocol-error' : 'closed', undefined, `reset: ${reason}`);
    connection.reset();
    process.nextTick(finish, { kind: 'reset', by: 'local', reason, code: undefined, version: 'h1' });
  };

  const openTunnel = (response: ResponseHead, rest: Buffer): void => {
    const opened = createRawTunnel(
      {
        connection,
        record,
        unread: [rest, ...socket.detach()],
        bareFinEnds: head.kind === 'connect',
      },
      {
        data: (bytes, start, end) => handler.data(bytes, start, end),
        end: () => handler.end(),
        datagram: () => undefined,
        drain: () => handler.drain(),
        closed: finish,
      },
    );
    tunnel = opened;
    connection.hold(opened.holder);
    // First what came first: the response may be answered with more at once.
    for (const bytes of early.splice(0)) opened.write(bytes, 0, bytes.length);
    if (sendingEnded) opened.end();
    opened.grant(credit);
    handler.response(response);
    opened.open();
  };

  const readContent = (response: IncomingMessage, given: ResponseHead, reusable: boolean): void => {
    handler.response(given);
    const reading = createCreditGate(response, {
      data: (bytes, start, end) => handler.data(bytes, start, end),
      end() {
        if (outcome) return;
        // RFC 9112 section 9.8: content that ends with the connection is whole only behind a close_notify.
        const cutOff = connection.peerEnd === 'truncated' && endsWithConnection(response, head);
        if (cutOff) record.record('peer-closed', undefined, 'TLS ended without close_notify');
        if (!response.complete || cutOff) {
          lose();
          return;
        }
        handler.end();
        options.done(reusable);
        finish({ kind: 'ended' });
      },
    });
    gate = reading;
    whole = () => response.complete;
    reading.grant(credit);
    response.on('error', () => undefined);
    response.on('close', () => {
      if (!response.complete) lose();
    });
  };

  request.on('error', (error) => {
    // "socket hang up" has the same code; a reset comes from a system call.
    const reset = errnoOf(error) === 'ECONNRESET' && 'syscall' in error;
    if (!reset) lose();
    else finish({ kind: 'reset', by: 'peer', reason: 'unknown', code: undefined, version: 'h1' });
  });
  request.on('information', (info) => {
    if (!outcome && info.statusCode !== 101)
      handler.informational?.(headOf(info.statusCode, info.rawHeaders));
  });
  request.on('response', (response) => {
    answered = true;
    const status = response.statusCode ?? 0;
    // A 2xx to an upgrade is the answer of somebody who did not understand it (RFC 9298 section 3.3).
    if (status < 200 || (head.kind === 'extended' && status < 300)) {
      abort('message-error');
      return;
    }
    const reusable =
      request.reusedSocket || !listMembers(fieldsOfRaw(response.rawHeaders), 'connection').includes('close');
    readContent(response, headOf(status, response.rawHeaders), reusable);
  });
  request.on('upgrade', (response, _socket, rest) => {
    answered = true;
    const fields = fieldsOfRaw(response.rawHeaders);
    if (head.kind !== 'extended' || !isGood101(response.statusCode, fields, head.protocol)) {
      abort('message-error');
      return;
    }
    // A 101 that the tunnel's owner sees as every version's success.
    openTunnel({ status: 200, fields: endToEndFields(fields) }, rest);
  });
  request.on('connect', (response, _socket, rest) => {
    answered = true;
    const given = headOf(response.statusCode ?? 0, response.rawHeaders);
    if (head.kind !== 'connect') abort('message-error');
    else if (given.status >= 200 && given.status < 300) openTunnel(given, rest);
    else refusedConnect(given, rest, response.headers['transfer-encoding'] !== undefined);
  });

  // Node stops parsing behind the head of any answer to CONNECT.
  const refusedConnect = (given: ResponseHead, rest: Buffer, chunked: boolean): void => {
    const length = fieldValues(given.fields, 'content-length')[0];
    let left = length === undefined ? Number.POSITIVE_INFINITY : Number(length);
    const finishRefusal = (): void => {
      if (outcome) return;
      handler.end();
      options.done(false);
      finish({ kind: 'ended' });
    };
    handler.response(given);
    if (rest.length > 0) socket.unshift(rest);
    const reading = createCreditGate(socket, {
      data(bytes, start, end) {
        const taken = Math.min(left, end - start);
        left -= taken;
        if (taken > 0) handler.data(bytes, start, start + taken);
        if (left === 0) process.nextTick(finishRefusal);
      },
      end: finishRefusal,
    });
    gate = reading;
    whole = () => socket.readableEnded;
    reading.grant(credit);
    socket.resume();
    // A chunked refusal's content would need a parser; its status is what matters.
    if (left === 0 || given.status === 204 || chunked) {
      process.nextTick(finishRefusal);
    }
  };

  const written = (): void => {
    if (!blocked || outcome || request.writableLength > lowWater) return;
    blocked = false;
    handler.drain();
  };

  const buffered = (): number => {
    if (outcome) return 0;
    return tunnel?.buffered ?? (sendsContent ? request.writableLength : earlyBytes);
  };
  const stream: TunnelStream = withBuffered<TunnelStream>(buffered, {
    version: 'h1',
    id: 0,
    nativeDatagrams: false,
    maxDatagramSize: 0,
    closed,
    spliceBytes: (far, capsule, begun) => tunnel?.spliceBytes?.(far, capsule, begun) ?? false,
    spliceCapsules: (far, rest) => tunnel?.spliceCapsules?.(far, rest),
    grant(bytes) {
      if (tunnel) tunnel.grant(bytes);
      else if (gate) gate.grant(bytes);
      else credit += bytes;
    },
    write(bytes, start, end) {
      if (tunnel) return tunnel.write(bytes, start, end);
      if (outcome || sendingEnded || end === start) return !blocked;
      const copy = Buffer.from(bytes.subarray(start, end));
      if (sendsContent) {
        request.write(copy, written);
        blocked = request.writableLength >= highWater;
      } else if (head.kind !== 'plain' && !answered) {
        early.push(copy);
        earlyBytes += copy.length;
        blocked = earlyBytes >= highWater;
      }
      return !blocked;
    },
    writeFramed(framing, framingEnd, body, start, end) {
      if (tunnel) return tunnel.writeFramed(framing, framingEnd, body, start, end);
      stream.write(framing, 0, framingEnd);
      return stream.write(body, start, end);
    },
    end() {
      if (tunnel) tunnel.end();
      else if (!sendingEnded && !outcome) {
        sendingEnded = true;
        if (head.kind === 'plain') request.end();
      }
    },
    sendDatagram: () => 'too-large',
    reset(reason) {
      if (tunnel) tunnel.reset(reason);
      else abort(reason);
    },
  });

  if (head.kind === 'plain' && sendsContent) request.flushHeaders();
  else request.end();
  return {
    stream,
    lose,
    delivering() {
      if (tunnel) return tunnel.delivering();
      return !outcome && gate?.holding === true && whole();
    },
  };
}

/** No length and no coding says where the content ends (RFC 9112 section 6.3). */
function endsWithConnection(response: IncomingMessage, head: RequestHead): boolean {
  const { headers, statusCode } = response;
  const bodiless =
    statusCode === 204 || statusCode === 304 || (head.kind === 'plain' && head.method === 'HEAD');
  return !bodiless && headers['content-length'] === undefined && headers['transfer-encoding'] === undefined;
}

function headOf(status: number, rawHeaders: readonly string[]): ResponseHead {
  return { status, fields: endToEndFields(fieldsOfRaw(rawHeaders)) };
}

/** RFC 9298 section 3.3: 101, `Connection: Upgrade`, the one token that was asked for; no framing. */
function isGood101(
  status: number | undefined,
  fields: ReturnType<typeof fieldsOfRaw>,
  protocol: string,
): boolean {
  const tokens = listMembers(fields, 'upgrade');
  return (
    status === 101 &&
    listMembers(fields, 'connection').includes('upgrade') &&
    tokens.length === 1 &&
    tokens[0] === protocol.toLowerCase() &&
    fieldValues(fields, 'content-length').length === 0 &&
    fieldValues(fields, 'transfer-encoding').length === 0
  );
}
