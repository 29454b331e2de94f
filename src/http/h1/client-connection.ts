import http from 'node:http';
import type { Clock } from '../../clock/clock.js';
import type { Fields } from '../../protocol/fields.js';
import type { SocketAddress } from '../../quic/address.js';
import type { ConnectionClose, HttpClientConnection, HttpClientConnectionHandler } from '../connection.js';
import type { RequestHead } from '../request.js';
import { ClientFace } from '../tcp/client-face.js';
import { endAndLinger, hangUpAndLinger } from '../tcp/linger.js';
import { createLossRecord, recordTcpEnd } from '../tcp/loss.js';
import { refusedStream } from '../tcp/refused-stream.js';
import { createSocketStream } from '../tcp/socket-stream.js';
import type { TcpConnection } from '../tcp/tcp-connection.js';
import type { ClientStreamHandler } from '../tunnel-stream.js';
import { type BoundClientStream, createClientStream } from './client-stream.js';
import { flatFields } from './message-text.js';

export interface H1ClientOptions {
  readonly remoteAddress: SocketAddress;
  readonly clock: Clock;
  /** Largest response head taken, bytes. */
  readonly headSize: number;
  /** As of `HttpClientConnection`; absent where the engine holds the process. */
  readonly holdProcess?: (hold: boolean) => void;
}

/** An HTTP/1.1 connection for one request at a time; a tunnel takes it for good. Nothing was read from it yet. */
export function startH1Client(
  tcp: TcpConnection,
  { remoteAddress, clock, headSize, holdProcess }: H1ClientOptions,
  handler: HttpClientConnectionHandler,
): HttpClientConnection {
  const record = createLossRecord();
  const socket = createSocketStream(tcp);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  Object.assign(agent, { createConnection: () => socket });
  let active: BoundClientStream | undefined;
  let spent = false;
  let draining = false;
  let resolveClosed: (close: ConnectionClose) => void = () => undefined;
  const closed = new Promise<ConnectionClose>((resolve) => {
    resolveClosed = resolve;
  });
  const endConnection = (): void => {
    spent = true;
    if (!tcp.writable) return;
    if (tcp.peerEnd) record.record('peer-closed', undefined, 'closed by the peer');
    else record.record('closed', undefined, 'closed by this side');
    socket.detach();
    endAndLinger(tcp, clock);
  };
  // The connection itself tells of its loss.
  socket.on('error', () => undefined);
  socket.on('end', () => {
    if (!active) endConnection();
  });
  // Node ends it behind an answer that was the last.
  socket.on('finish', endConnection);
  tcp.onClosed = (end) => {
    recordTcpEnd(record, end);
    record.record(active ? 'reset' : 'peer-closed', undefined, 'closed');
    const over = (): void => {
      agent.destroy();
      const close = record.cause ?? { reason: 'closed', code: undefined, detail: '' };
      handler.closed?.(close);
      resolveClosed(close);
    };
    setImmediate(() => {
      if (active?.delivering()) {
        active.stream.closed.then(over);
        return;
      }
      active?.lose();
      over();
    });
  };
  // Nothing reads an idle connection, and its end would not be noticed.
  socket.resume();

  const usable = (): boolean => !active && !spent && !draining && !socket.destroyed && tcp.writable;

  const settings = { extendedConnect: true, datagrams: false, maxStreams: 1 };
  return new ClientFace('h1', remoteAddress, settings, closed, {
    usable,
    streams: () => (active ? 1 : 0),
    holdProcess,
    open(head: RequestHead, streamHandler: ClientStreamHandler) {
      if (!usable()) {
        const loss = record.cause ?? { reason: 'peer-closed', detail: 'the connection is in use' };
        return refusedStream('h1', streamHandler, {
          kind: 'lost',
          reason: loss.reason,
          detail: loss.detail,
        });
      }
      const request = http.request({
        agent,
        setHost: false,
        maxHeaderSize: headSize,
        insecureHTTPParser: false,
        ...requestLine(head),
      });
      const stream = createClientStream(
        {
          head,
          request,
          connection: tcp,
          socket,
          record,
          done(reusable) {
            if (!reusable || draining) endConnection();
          },
        },
        streamHandler,
      );
      active = stream;
      stream.stream.closed.then(() => {
        active = undefined;
        if (draining) endConnection();
      });
      return stream.stream;
    },
    ping: () => Promise.reject(new Error('HTTP/1.1 has no PING')),
    drain() {
      draining = true;
      if (!active) endConnection();
    },
    async close() {
      record.record('closed', undefined, 'closed by this side');
      spent = true;
      if (active) {
        active.lose();
        hangUpAndLinger(tcp, clock);
      } else endConnection();
      await closed;
    },
  });
}

function requestLine(head: RequestHead): { method: string; path: string; headers: readonly string[] } {
  const host: Fields = [['host', head.authority]];
  switch (head.kind) {
    case 'connect':
      return { method: 'CONNECT', path: head.authority, headers: flatFields(host, head.fields) };
    case 'extended': {
      // RFC 9298 section 3.2.
      const own: Fields = [...host, ['connection', 'Upgrade'], ['upgrade', head.protocol]];
      return { method: 'GET', path: head.path, headers: flatFields(own, head.fields) };
    }
    case 'plain': {
      const own: Fields = [...host, ['connection', 'keep-alive']];
      return { method: head.method, path: head.path, headers: flatFields(own, head.fields) };
    }
  }
}
