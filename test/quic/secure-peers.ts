import { once } from 'node:events';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import type { SecureListener, SecureListenOptions, SecureSocket } from '../../src/quic/secure-socket.js';
import type { TcpSockets } from '../../src/quic/tcp-socket.js';
import type { ServerTls } from '../../src/quic/tls.js';
import { serverPair } from './pair.js';
import { plenty, TcpPeer } from './tcp-world.js';

/** One connection of the engine's listener. */
export class SecurePeer extends TcpPeer {
  constructor(
    readonly secure: SecureSocket,
    credit: number,
  ) {
    super(credit);
    this.attach(secure);
  }
}

export interface SecureServer {
  readonly listener: SecureListener;
  readonly port: number;
  readonly peers: SecurePeer[];
  /** The next connection. */
  next(): Promise<SecurePeer>;
}

export interface SecureServerOptions extends Partial<Omit<SecureListenOptions, 'tls'>> {
  readonly tls?: Partial<ServerTls>;
  readonly credit?: number;
}

/** A listener with TLS in the engine. */
export async function secureServer(
  tcp: TcpSockets,
  options: SecureServerOptions = {},
): Promise<SecureServer> {
  const { credit = plenty, tls: serverTls, ...rest } = options;
  const peers: SecurePeer[] = [];
  const waiting: ((peer: SecurePeer) => void)[] = [];
  let taken = 0;
  const listener = await tcp.listenSecure(
    {
      local: { address: '127.0.0.1', port: 0 },
      ...rest,
      tls: { certificates: [serverPair], alpn: ['h2', 'http/1.1'], ...serverTls },
    },
    (secure) => {
      const peer = new SecurePeer(secure, credit);
      peers.push(peer);
      if (waiting.length > 0) {
        taken++;
        waiting.shift()?.(peer);
      }
      return peer;
    },
  );
  return {
    listener,
    port: listener.localAddress.port,
    peers,
    next() {
      const peer = peers[taken];
      if (peer) {
        taken++;
        return Promise.resolve(peer);
      }
      return new Promise((resolve) => waiting.push(resolve));
    },
  };
}

/** A client of Node, with the TCP socket below it. */
export interface Visitor {
  readonly raw: Socket;
  readonly socket: TLSSocket;
  readonly chunks: Buffer[];
  readonly errors: NodeJS.ErrnoException[];
  /** Resolves once the handshake is done or the socket closed: whether it was done. */
  readonly up: Promise<boolean>;
  readonly ended: Promise<void>;
  readonly closed: Promise<void>;
}

export function visit(port: number, options: tls.ConnectionOptions = {}, host = '127.0.0.1'): Visitor {
  const raw = new net.Socket({ allowHalfOpen: true });
  raw.connect({ host, port });
  const socket = tls.connect({
    socket: raw,
    servername: 'localhost',
    rejectUnauthorized: false,
    allowHalfOpen: true,
    ...options,
  } as tls.ConnectionOptions);
  const chunks: Buffer[] = [];
  const errors: NodeJS.ErrnoException[] = [];
  raw.on('error', (error) => errors.push(error));
  socket.on('error', (error) => errors.push(error));
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  const closed = new Promise<void>((resolve) => {
    raw.once('close', () => resolve());
    socket.once('close', () => resolve());
  });
  const up = new Promise<boolean>((resolve) => {
    socket.once('secureConnect', () => resolve(true));
    raw.once('close', () => resolve(false));
    socket.once('error', () => resolve(false));
  });
  const ended = new Promise<void>((resolve) => {
    socket.once('end', () => resolve());
  });
  return { raw, socket, chunks, errors, up, ended, closed };
}

/** Waits until nobody listens there any more. */
export async function untilRefused(port: number): Promise<void> {
  for (;;) {
    const { errors, up, raw, socket } = visit(port);
    await up;
    socket.destroy();
    raw.destroy();
    if (errors[0]?.code === 'ECONNREFUSED') return;
  }
}

/** A server of Node. */
export interface NodeServer extends AsyncDisposable {
  readonly port: number;
  readonly sockets: TLSSocket[];
  readonly raws: Set<Socket>;
  readonly errors: NodeJS.ErrnoException[];
  next(): Promise<TLSSocket>;
}

export async function nodeServer(options: tls.TlsOptions = {}): Promise<NodeServer> {
  const raws = new Set<Socket>();
  const sockets: TLSSocket[] = [];
  const errors: NodeJS.ErrnoException[] = [];
  const waiting: ((socket: TLSSocket) => void)[] = [];
  const server: Server = tls.createServer({
    cert: serverPair.cert,
    key: serverPair.key,
    ALPNProtocols: ['h2'],
    allowHalfOpen: true,
    ...options,
  } as tls.TlsOptions);
  server.on('connection', (raw: Socket) => {
    raws.add(raw);
    raw.on('error', () => undefined);
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException) => errors.push(error));
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', (error) => errors.push(error));
    const wanted = waiting.shift();
    if (wanted) wanted(socket);
    else sockets.push(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    raws,
    errors,
    next() {
      const socket = sockets.shift();
      return socket ? Promise.resolve(socket) : new Promise((resolve) => waiting.push(resolve));
    },
    async [Symbol.asyncDispose]() {
      for (const raw of raws) raw.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
