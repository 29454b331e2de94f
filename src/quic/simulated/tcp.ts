import type { SocketAddress } from '../address.js';
import { QuicConfigurationError } from '../engine.js';
import {
  type SecureAccept,
  SecureConnectError,
  type SecureConnectFailure,
  type SecureConnectOptions,
  type SecureListener,
  type SecureListenOptions,
  type SecureSocket,
  secureFailure,
} from '../secure-socket.js';
import {
  type TcpAccept,
  type TcpConnectOptions,
  type TcpListener,
  type TcpListenOptions,
  TcpOpenError,
  type TcpProblem,
  type TcpSocket,
  type TcpSocketHandler,
  type TcpSockets,
} from '../tcp-socket.js';
import type { ClientTls, ServerTls } from '../tls.js';
import type { NetworkCore } from './engine.js';
import { type SettledTls, shakeHands } from './handshake.js';
import { type Host, localAddress } from './host.js';
import { createLane } from './link.js';
import { createTcpEnd, type TcpEndpoint } from './tcp-end.js';

/** How the network reaches a listener: with the end of the client that has connected, and what TLS has settled. */
export interface SimulatedTcpListener {
  readonly tls?: ServerTls;
  take(client: TcpEndpoint, settled: SettledTls | undefined): void;
}

type Settled = TcpSocket & SettledTls;

const defaults = { connectTimeout: 10_000, keepAlive: 60_000 };

const noTls: SettledTls = { alpn: undefined, serverName: undefined, peerCertificates: [], greeted: false };

/** What a client of TLS meets where there is none. */
const noAnswer: SecureConnectFailure = {
  kind: 'tls',
  alert: undefined,
  reason: 'the connection was closed in the handshake',
};

const refuse: TcpAccept = (socket) => {
  socket.reset();
  return { data() {}, end() {}, drain() {}, closed() {} };
};

const secured = (end: TcpEndpoint, settled: SettledTls): Settled =>
  Object.assign(end.socket, settled, { hangUp: end.hangUp });

/** TCP of one host, over the network's reliable frames. */
export function createSimulatedTcpSockets(
  network: NetworkCore,
  host: Host,
): { readonly face: TcpSockets; closeAll(): void } {
  const { clock, link } = network;
  const listeners = new Set<{ close(): void }>();
  const ends = new Set<TcpEndpoint>();
  const attempts = new Set<(error: Error) => void>();
  let over = false;

  /** Takes a port, or says why there is none. */
  const bind = (wanted: SocketAddress | undefined): SocketAddress | TcpOpenError => {
    const address = localAddress(host, wanted);
    if (address === undefined) return new TcpOpenError('no-ports', 'EADDRNOTAVAIL');
    const port = wanted?.port || host.freeTcpPort();
    if (port === undefined || host.tcpPorts.has(port)) return new TcpOpenError('no-ports', 'EADDRINUSE');
    host.tcpPorts.add(port);
    return { address, port };
  };

  const takeConnection = (
    client: TcpEndpoint,
    local: SocketAddress,
    keepAlive: number,
    accept: (socket: TcpSocket, end: TcpEndpoint) => TcpSocketHandler,
    gone: () => void,
  ): void => {
    const remote = client.socket.localAddress;
    const end = createTcpEnd(network, host, {
      local,
      remote,
      keepAlive,
      gone() {
        ends.delete(end);
        gone();
      },
    });
    ends.add(end);
    end.peer = client;
    client.peer = end;
    try {
      end.handler = accept(end.socket, end);
    } finally {
      if (!end.handler) end.socket.reset();
    }
  };

  const listenAs = async (
    options: TcpListenOptions,
    makeListener: (local: SocketAddress) => SimulatedTcpListener,
  ): Promise<TcpListener> => {
    if (over) throw new TcpOpenError('other', 'ECANCELED');
    const local = bind(options.local);
    if (local instanceof TcpOpenError) throw local;
    host.tcpListeners.set(local.port, makeListener(local));
    const listener: TcpListener = {
      localAddress: local,
      close() {
        if (!listeners.delete(listener)) return;
        host.tcpListeners.delete(local.port);
        host.tcpPorts.delete(local.port);
      },
    };
    listeners.add(listener);
    return listener;
  };

  const listen = (options: TcpListenOptions, accept: TcpAccept): Promise<TcpListener> => {
    const { keepAlive = defaults.keepAlive } = options;
    return listenAs(options, (local) => ({
      take: (client) => takeConnection(client, local, keepAlive, accept, () => undefined),
    }));
  };

  /** Handshakes are over at once here: only the number of connections is ever at its limit. */
  const listenSecure = async (
    options: SecureListenOptions,
    accept: SecureAccept,
  ): Promise<SecureListener> => {
    const { keepAlive = defaults.keepAlive, maxConnections = 65_536, tls } = options;
    const greeting = options.greeting && {
      ...options.greeting,
      bytes: Uint8Array.from(options.greeting.bytes),
    };
    if (tls.certificates.length === 0) throw new QuicConfigurationError('no certificate');
    let connections = 0;
    let refused = 0;
    const { localAddress, close } = await listenAs(options, (local) => ({
      tls,
      take(client, settled) {
        const full = connections >= maxConnections;
        if (full) refused++;
        connections++;
        const gone = (): void => {
          connections--;
        };
        // Who speaks no TLS gets no further either.
        if (full || !settled) takeConnection(client, local, keepAlive, refuse, gone);
        else {
          const greeted = greeting !== undefined && greeting.protocol === settled.alpn;
          const take: Parameters<typeof takeConnection>[3] = (socket, end) => {
            if (greeted) socket.write(greeting.bytes, 0, greeting.bytes.length);
            return accept(secured(end, { ...settled, greeted }));
          };
          takeConnection(client, local, keepAlive, take, gone);
        }
      },
    }));
    return {
      localAddress,
      setCertificates(certificates) {
        if (certificates.length === 0) throw new QuicConfigurationError('no certificate');
      },
      stopAccepting: close,
      close,
      statistics: () => ({ handshakes: 0, refused }),
    };
  };

  const connect = (
    options: TcpConnectOptions,
    handler: TcpSocketHandler,
    signal: AbortSignal,
  ): Promise<TcpSocket> => open(options, undefined, handler, signal);

  const connectSecure = async (
    options: SecureConnectOptions,
    handler: TcpSocketHandler,
    signal: AbortSignal,
  ): Promise<SecureSocket> => {
    const { handshakeTimeout: connectTimeout = defaults.connectTimeout, tls, ...plain } = options;
    try {
      return await open({ ...plain, connectTimeout }, tls, handler, signal);
    } catch (error) {
      throw error instanceof TcpOpenError ? new SecureConnectError(secureFailure(error)) : error;
    }
  };

  const open = (
    options: TcpConnectOptions,
    tls: ClientTls | undefined,
    handler: TcpSocketHandler,
    signal: AbortSignal,
  ): Promise<Settled> =>
    new Promise((resolve, reject) => {
      if (over) return reject(new TcpOpenError('other', 'ECANCELED'));
      if (signal.aborted) return reject(new TcpOpenError('aborted', 'ECANCELED'));
      const { remote, connectTimeout = defaults.connectTimeout, keepAlive = defaults.keepAlive } = options;
      const local = bind(options.local);
      if (local instanceof TcpOpenError) return reject(local);

      const settled = (): void => {
        clock.clearTimeout(timer);
        signal.removeEventListener('abort', aborted);
        attempts.delete(fail);
      };
      const fail = (error: Error): void => {
        if (!attempts.has(fail)) return;
        settled();
        host.tcpPorts.delete(local.port);
        reject(error);
      };
      const aborted = (): void => fail(new TcpOpenError('aborted', 'ECANCELED'));
      const timer = clock.setTimeout(() => fail(new TcpOpenError('timeout', 'ETIMEDOUT')), connectTimeout);
      attempts.add(fail);
      signal.addEventListener('abort', aborted);

      const lane = createLane();
      const back = createLane();
      const answer = (deliver: () => void): void => {
        link.sendReliable(remote.address, host.address, back, deliver);
      };
      const refuse = (problem: TcpProblem, errno: string): void =>
        answer(() => fail(new TcpOpenError(problem, errno)));
      const established = (mine: SettledTls | undefined, theirs: SettledTls | undefined): void => {
        if (!attempts.has(fail)) return;
        settled();
        const end = createTcpEnd(network, host, {
          local,
          remote,
          keepAlive,
          lane,
          gone() {
            ends.delete(end);
            host.tcpPorts.delete(local.port);
          },
        });
        end.handler = handler;
        ends.add(end);
        // The last packet of the handshake; a listener that was closed meanwhile answers with RST.
        link.sendReliable(host.address, remote.address, lane, () => {
          const listener = network.hosts.get(remote.address)?.tcpListeners.get(remote.port);
          if (listener) listener.take(end, theirs);
          else answer(() => end.arrivedReset());
        });
        resolve(mine ? secured(end, mine) : Object.assign(end.socket, noTls));
      };
      link.sendReliable(host.address, remote.address, lane, () => {
        const server = network.hosts.get(remote.address);
        const listener = server?.tcpListeners.get(remote.port);
        if (!server) refuse('host-unreachable', 'EHOSTUNREACH');
        else if (!listener) refuse('refused', 'ECONNREFUSED');
        else if (!tls) answer(() => established(undefined, undefined));
        else {
          const outcome = listener.tls ? shakeHands(host, tls, server, listener.tls) : noAnswer;
          answer(() => {
            if ('kind' in outcome) fail(new SecureConnectError(outcome));
            else established(outcome.client, outcome.server);
          });
        }
      });
    });

  return {
    face: { connect, listen, connectSecure, listenSecure },
    closeAll() {
      over = true;
      for (const listener of [...listeners]) listener.close();
      for (const fail of [...attempts]) fail(new TcpOpenError('other', 'ECANCELED'));
      for (const end of [...ends]) end.cut('ECANCELED');
    },
  };
}
