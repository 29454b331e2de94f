import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestHead } from '../request.js';
import { createCreditGate } from '../tcp/credit-gate.js';
import type { LossRecord } from '../tcp/loss.js';
import type { TcpConnection } from '../tcp/tcp-connection.js';
import { withBuffered } from '../tcp/with-buffered.js';
import type { ServerStream, StreamOutcome, TunnelStreamHandler } from '../tunnel-stream.js';
import { flatFields, responseText } from './message-text.js';

const highWater = 64 * 1024;
const lowWater = 16 * 1024;

export interface ServerExchangeOptions {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly connection: TcpConnection;
  readonly record: LossRecord;
  readonly head: RequestHead;
  readonly altSvc: string | undefined;
  readonly closing: () => boolean;
  /** No earlier response is still on its way. */
  readonly first: boolean;
}

export interface BoundServerExchange {
  readonly stream: ServerStream;
  attach(handler: TunnelStreamHandler): void;
  lose(): void;
}

/** The server's side of an ordinary request. */
export function createServerExchange(options: ServerExchangeOptions): BoundServerExchange {
  const { request, response, connection, record } = options;
  let handler: TunnelStreamHandler | undefined;
  let blocked = false;
  let ended = false;
  let outcome: StreamOutcome | undefined;
  let resolveClosed: (outcome: StreamOutcome) => void = () => undefined;
  const closed = new Promise<StreamOutcome>((resolve) => {
    resolveClosed = resolve;
  });
  const finish = (value: StreamOutcome): void => {
    if (outcome) return;
    outcome = value;
    gate.stop();
    handler?.closed(value);
    resolveClosed(value);
  };
  let receivingEnded = false;
  const gate = createCreditGate(request, {
    data: (bytes, start, end) => handler?.data(bytes, start, end),
    end() {
      if (!request.complete || outcome) return;
      receivingEnded = true;
      handler?.end();
      if (response.writableFinished) finish({ kind: 'ended' });
    },
  });
  const lose = (): void => {
    record.record('reset', undefined, 'the connection was cut');
    const { cause } = record;
    if (cause) finish({ kind: 'lost', reason: cause.reason, detail: cause.detail });
  };
  request.on('error', () => undefined);
  response.on('error', () => undefined);
  response.on('finish', () => {
    // What is left of the request is of no interest any more; it is thrown away.
    if (receivingEnded) finish({ kind: 'ended' });
    else {
      gate.stop();
      request.on('end', () => finish({ kind: 'ended' }));
    }
  });
  response.on('close', () => {
    if (!response.writableFinished) lose();
  });
  request.on('close', () => {
    if (!request.complete) lose();
  });

  const written = (): void => {
    if (!blocked || outcome || response.writableLength > lowWater) return;
    blocked = false;
    handler?.drain();
  };
  const needsResponse = (): void => {
    if (!response.headersSent && !outcome) throw new Error('respond() comes before content');
  };

  const buffered = (): number => (outcome ? 0 : response.writableLength + connection.socket.buffered);
  const stream: ServerStream = withBuffered<ServerStream>(buffered, {
    version: 'h1',
    id: 0,
    request: options.head,
    nativeDatagrams: false,
    maxDatagramSize: 0,
    closed,
    grant: (bytes) => gate.grant(bytes),
    write(bytes, start, end) {
      needsResponse();
      if (ended || outcome) return true;
      if (end > start) response.write(Buffer.from(bytes.subarray(start, end)), written);
      blocked = response.writableLength >= highWater;
      return !blocked;
    },
    end() {
      needsResponse();
      if (ended || outcome) return;
      ended = true;
      response.end();
    },
    sendDatagram: () => 'too-large',
    reset(reason) {
      if (outcome) return;
      record.record('closed', undefined, `reset: ${reason}`);
      connection.reset();
      process.nextTick(finish, { kind: 'reset', by: 'local', reason, code: undefined, version: 'h1' });
    },
    inform(head) {
      if (!outcome && !response.headersSent && options.first && request.httpVersion !== '1.0') {
        response.socket?.write(responseText(head.status, [], head.fields));
      }
    },
    respond(head) {
      if (outcome || response.headersSent) return;
      const own: [string, string][] = [];
      // RFC 7838 section 3: it speaks of the origin that was asked, which is another one for a forwarded request.
      const forwarded = options.head.kind === 'plain' && options.head.scheme === 'http';
      if (options.altSvc !== undefined && !forwarded) own.push(['alt-svc', options.altSvc]);
      if (options.closing()) own.push(['connection', 'close']);
      try {
        response.writeHead(head.status, flatFields(own, head.fields));
        response.flushHeaders();
      } catch {
        // A field that cannot be sent.
        stream.reset('internal-error');
      }
    },
  });
  return {
    stream,
    attach(given) {
      handler = given;
    },
    lose,
  };
}
