import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { HttpClientConnection } from '../../src/http/connection.js';
import type { ResponseHead } from '../../src/http/request.js';
import { fieldsOfRaw } from '../../src/http/tcp/connection-fields.js';
import type { StreamOutcome } from '../../src/http/tunnel-stream.js';
import type { Fields } from '../../src/protocol/fields.js';
import type { RunningProxy } from '../../src/proxy/proxy.js';
import { certificate } from './real-proxy.js';
import { until } from './tcp-target.js';

export interface PlainAnswer {
  readonly informed: number[];
  head: ResponseHead | undefined;
  readonly content: Buffer[];
  text(): string;
  ended: boolean;
  outcome: StreamOutcome | undefined;
}

export interface PlainAsk {
  readonly method?: string;
  readonly authority: string;
  readonly path?: string;
  readonly fields?: Fields;
  readonly content?: string | Uint8Array;
  /** The request stays open: the test ends it. */
  readonly open?: boolean;
  /** Bytes of the answer that may come; default plenty. */
  readonly credit?: number;
}

export interface AskedPlain {
  readonly answer: PlainAnswer;
  readonly stream: ReturnType<HttpClientConnection['open']>;
  /** Waits until it is over. */
  done(): Promise<PlainAnswer>;
}

/** What a request is sent on. */
export type PlainConnection = Pick<HttpClientConnection, 'open' | 'close'>;

/** HTTP/1.1 to the proxy in absolute form, one connection for each request, by Node's own client. */
export function absoluteFormConnection(proxy: RunningProxy): PlainConnection {
  const address = proxy.addresses.find(({ transport }) => transport === 'tcp');
  const agent = new https.Agent({ keepAlive: false });
  return {
    open(head, handler) {
      if (head.kind !== 'plain') throw new Error('plain requests only');
      let credit = 0;
      let answer: IncomingMessage | undefined;
      let over = false;
      const finish = (outcome: StreamOutcome): void => {
        if (over) return;
        over = true;
        handler.closed(outcome);
      };
      const lost = (): void => finish({ kind: 'lost', reason: 'reset', detail: '' });
      const headers: Record<string, string | string[]> = {};
      for (const [name, value] of head.fields) {
        headers[name] = headers[name] === undefined ? value : [headers[name], value].flat();
      }
      const request = https.request({
        host: address?.address,
        port: address?.port,
        ca: certificate.cert,
        servername: 'localhost',
        agent,
        method: head.method,
        path: `http://${head.authority}${head.path}`,
        headers: { host: head.authority, ...headers },
      });
      request.on('information', ({ statusCode }) =>
        handler.informational?.({ status: statusCode, fields: [] }),
      );
      request.on('error', lost);
      request.on('response', (message) => {
        answer = message;
        handler.response({ status: message.statusCode ?? 0, fields: fieldsOfRaw(message.rawHeaders) });
        message.on('data', (chunk: Buffer) => {
          const taken = chunk.subarray(0, credit);
          credit -= taken.length;
          handler.data(taken, 0, taken.length);
          if (taken.length === chunk.length) return;
          message.pause();
          message.unshift(chunk.subarray(taken.length));
        });
        message.on('end', () => {
          if (!message.complete) return;
          handler.end();
          finish({ kind: 'ended' });
        });
        message.on('error', lost);
      });
      const reset = (): void => {
        request.destroy();
        finish({ kind: 'reset', by: 'local', reason: 'cancelled', code: undefined, version: 'h1' });
      };
      return {
        version: 'h1',
        id: 0,
        buffered: 0,
        maxDatagramSize: 0,
        nativeDatagrams: false,
        grant(bytes) {
          credit += bytes;
          answer?.resume();
        },
        write: (bytes, start, end) => request.write(Buffer.from(bytes.subarray(start, end))),
        end: () => void request.end(),
        sendDatagram: () => 'too-large',
        reset,
        closed: new Promise(() => undefined),
      };
    },
    close: async () => agent.destroy(),
  };
}

/** Sends a plain `http://` request for an origin. */
export function askPlain(connection: PlainConnection, ask: PlainAsk): AskedPlain {
  const content: Buffer[] = [];
  const answer: PlainAnswer = {
    informed: [],
    head: undefined,
    content,
    text: () => Buffer.concat(content).toString(),
    ended: false,
    outcome: undefined,
  };
  const { method = 'GET', authority, path = '/', fields = [] } = ask;
  const stream = connection.open(
    { kind: 'plain', method, scheme: 'http', authority, path, fields },
    {
      informational: ({ status }) => answer.informed.push(status),
      response(head) {
        answer.head = head;
      },
      data(bytes, start, end) {
        content.push(Buffer.from(bytes.subarray(start, end)));
      },
      end() {
        answer.ended = true;
      },
      datagram: () => undefined,
      drain: () => undefined,
      closed(outcome) {
        answer.outcome = outcome;
      },
    },
  );
  stream.grant(ask.credit ?? 1 << 26);
  if (ask.content !== undefined) {
    const bytes = Buffer.from(ask.content);
    stream.write(bytes, 0, bytes.length);
  }
  if (!ask.open) stream.end();
  return {
    answer,
    stream,
    async done() {
      await until(() => answer.outcome !== undefined, 'the end of the exchange');
      return answer;
    },
  };
}

export interface Origin {
  readonly server: Server;
  readonly authority: string;
  readonly port: number;
  /** Connections that were made to it. */
  connections: number;
}

/** An origin on loopback. */
export async function startOrigin(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Origin> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const origin: Origin = { server, port, authority: `127.0.0.1:${port}`, connections: 0 };
  server.on('connection', () => {
    origin.connections++;
  });
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  return origin;
}

export interface RawExchange {
  readonly received: () => string;
  write(text: string): void;
  /** The proxy closed the connection. */
  readonly closed: boolean;
  destroy(): void;
}

/** A TLS connection to the proxy whose HTTP/1.1 the test writes by hand. */
export async function rawConnection(proxy: RunningProxy): Promise<RawExchange> {
  const address = proxy.addresses.find(({ transport }) => transport === 'tcp');
  const socket = connectTls({
    host: address?.address ?? '',
    port: address?.port ?? 0,
    ca: certificate.cert,
    servername: 'localhost',
    ALPNProtocols: ['http/1.1'],
  });
  const chunks: Buffer[] = [];
  let closed = false;
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined);
  socket.on('end', () => {
    closed = true;
  });
  socket.on('close', () => {
    closed = true;
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  after(() => socket.destroy());
  return {
    received: () => Buffer.concat(chunks).toString('latin1'),
    write: (text) => void socket.write(Buffer.from(text, 'latin1')),
    get closed() {
      return closed;
    },
    destroy: () => socket.destroy(),
  };
}
