import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Clock } from '../clock/clock.js';
import type { HttpAccept } from '../http/connection.js';
import { responseText } from '../http/h1/message-text.js';
import { upgradeRequest } from '../http/h1/request-head.js';
import { createServerTunnel } from '../http/h1/server-tunnel.js';
import { linger } from '../http/tcp/hang-up.js';
import { endAndLinger } from '../http/tcp/linger.js';
import { createLossRecord, recordTcpEnd } from '../http/tcp/loss.js';
import { createWriteMemory, SLABS_KEPT } from '../http/tcp/slab-writer.js';
import { socketAddress } from '../http/tcp/socket-identity.js';
import { bindTcpConnection } from '../http/tcp/tcp-connection.js';
import { carryTls } from '../http/tls/tls-carrier.js';
import { borrowConnection } from './borrowed-connection.js';

type Listeners = readonly (readonly [event: string, listener: (...values: never[]) => void])[];

const pathOf = (socket: Socket): string =>
  `${socket.localAddress} ${socket.localPort} ${socket.remoteAddress} ${socket.remotePort}`;

/**
 * Takes the tunnels that clients ask for by an HTTP/1.1 Upgrade on somebody else's server; other upgrades go
 * to that server's own listeners, or are refused when it has none. Returns the listeners to add.
 */
export function http1Tunnels(
  server: EventEmitter,
  isTunnel: (protocol: string) => boolean,
  clock: Clock,
  nextId: () => number,
  accept: HttpAccept,
): Listeners {
  /** TCP connections by their path: a tunnel is aborted below TLS, and Node does not tell the one of the other. */
  const raws = new Map<string, Socket>();
  const memory = createWriteMemory(SLABS_KEPT);

  const connection = (raw: Socket): void => {
    if (raw instanceof TLSSocket) return;
    const path = pathOf(raw);
    raws.set(path, raw);
    raw.once('close', () => raws.delete(path));
  };

  const refuse = (socket: TLSSocket, raw: Socket, status: number): void => {
    socket.end(
      responseText(
        status,
        [
          ['connection', 'close'],
          ['content-length', '0'],
        ],
        [],
      ),
    );
    linger(socket, raw, clock);
  };

  const upgrade = (request: IncomingMessage, socket: unknown, head: Buffer): void => {
    if (!(socket instanceof TLSSocket)) return;
    const raw = raws.get(pathOf(socket));
    const token = (request.headers.upgrade ?? '').trim().toLowerCase();
    if (!raw) {
      // It was there before the proxy: only a new connection can become a tunnel.
      if (isTunnel(token)) socket.destroy();
      return;
    }
    if (!isTunnel(token)) {
      if (server.listenerCount('upgrade') === 1) refuse(socket, raw, 501);
      return;
    }
    const received = upgradeRequest(request);
    if (received.kind === 'malformed') {
      refuse(socket, raw, received.status);
      return;
    }
    const record = createLossRecord();
    const borrowed = borrowConnection(
      {
        version: 'h1',
        id: nextId(),
        remoteAddress: socketAddress(raw.remoteAddress, raw.remotePort),
        localAddress: socketAddress(raw.localAddress, raw.localPort),
        serverName: typeof socket.servername === 'string' ? socket.servername : undefined,
      },
      accept,
      () => undefined,
    );
    const carrier = carryTls(socket, raw, clock, memory);
    const { attach, handler } = bindTcpConnection();
    carrier.attach(handler);
    const tcp = attach(carrier);
    tcp.onClosed = (how) => {
      recordTcpEnd(record, how);
      record.record('peer-closed', undefined, 'closed');
      const { cause } = record;
      if (cause) borrowed.lost(cause);
    };
    const end = (): void => endAndLinger(tcp, clock);
    const made = createServerTunnel({
      connection: tcp,
      record,
      unread: [head],
      bareFinEnds: false,
      request: received.head,
      token: received.token,
      altSvc: undefined,
      // A refused upgrade ends the connection: there is no handing it back to the other server.
      closing: () => true,
      opened: () => undefined,
      refused: end,
      close: end,
    });
    request.resume();
    made.attach(borrowed.request(made.stream));
  };

  return [
    ['connection', connection],
    ['upgrade', upgrade],
  ];
}
