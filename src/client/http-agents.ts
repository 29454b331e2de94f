import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import { BautaError } from '../protocol/bauta-error.js';
import type { TcpTunnels } from './tcp-tunnels.js';
import { tlsOverTunnel } from './tls-over-tunnel.js';

/** Agents whose connections are TCP tunnels. */
export interface HttpAgents {
  readonly http: http.Agent;
  readonly https: https.Agent;
  /** Closes the connections that wait for a next request. */
  endIdle(): void;
}

type Connected = (error: Error | null, socket?: Duplex) => void;

/** Milliseconds for the tunnel and the target's TLS. */
const CONNECT_TIMEOUT = 15_000;

function placeOf(options: http.ClientRequestArgs, defaultPort: number): { host: string; port: number } {
  if (options.socketPath) {
    throw new BautaError('ERR_USAGE', { detail: 'a proxy reaches no local socket path' });
  }
  return { host: options.host ?? options.hostname ?? 'localhost', port: Number(options.port ?? defaultPort) };
}

/** Gives `connect`'s result to Node's agent, in the form that it takes from a `createConnection`. */
function creating<T extends http.ClientRequestArgs>(connect: (options: T) => Promise<Duplex>) {
  return (options: T, connected: Connected): undefined => {
    connect(options).then(
      (socket) => {
        const { timeout } = options;
        if (timeout && 'setTimeout' in socket && typeof socket.setTimeout === 'function') {
          socket.setTimeout(timeout);
        }
        connected(null, socket);
      },
      (error: Error) => connected(error),
    );
  };
}

/** Connections are kept for the next request, as Node's own agents do it. */
export function createHttpAgents({
  openTcp,
  openTcpAhead,
}: Pick<TcpTunnels, 'openTcp' | 'openTcpAhead'>): HttpAgents {
  const plain = Object.assign(new http.Agent({ keepAlive: true }), {
    createConnection: creating(async (options: http.ClientRequestArgs) => openTcp(placeOf(options, 80))),
  });
  const secure = Object.assign(new https.Agent({ keepAlive: true }), {
    createConnection: creating(async (options: http.ClientRequestArgs & ConnectionOptions) => {
      const place = placeOf(options, 443);
      const signal = AbortSignal.timeout(CONNECT_TIMEOUT);
      // TLS begins before the proxy has answered: its first message may be received twice.
      const { stream } = openTcpAhead(place, { timeout: CONNECT_TIMEOUT });
      const { host: _host, port: _port, path: _path, socket: _socket, ...tls } = options;
      return tlsOverTunnel(stream, place.host, { ALPNProtocols: ['http/1.1'], ...tls }, signal);
    }),
  });
  return {
    http: plain,
    https: secure,
    endIdle() {
      for (const agent of [plain, secure]) {
        for (const sockets of Object.values(agent.freeSockets)) {
          for (const socket of sockets ?? []) socket.destroy();
        }
      }
    },
  };
}
