import type { Clock } from '../../clock/clock.js';
import type { SocketAddress } from '../../quic/address.js';
import type { TcpListener, TcpSockets } from '../../quic/tcp-socket.js';
import { Line } from '../../tables/line.js';
import { listenError } from '../listen-error.js';
import { type AppConnection, createAppConnection } from './app-connection.js';
import type { FrontEvent } from './front-events.js';
import type { FrontLimits } from './front-limits.js';

/** A local port that apps connect to. */
export interface FrontEnd {
  readonly localAddress: SocketAddress;
  /** Apps' connections at the moment. */
  readonly connections: number;
  /**
   * Takes no new connections, gives those that are up to `drain` milliseconds (default 0) to end by themselves,
   * and resets the rest. Idempotent.
   */
  close(options?: { readonly drain?: number }): Promise<void>;
}

export interface ListenForAppsOptions {
  readonly tcp: TcpSockets;
  readonly local: SocketAddress;
  readonly clock: Clock;
  readonly limits: FrontLimits;
  readonly event: (event: FrontEvent) => void;
  /** A new connection; its request has a time limit already. */
  readonly serve: (app: AppConnection) => void;
}

/** Rejects with `ERR_PORT_IN_USE`, `ERR_PORT_PRIVILEGE` or `ERR_ADDRESS_UNAVAILABLE`. */
export async function listenForApps(options: ListenForAppsOptions): Promise<FrontEnd> {
  const { clock, limits } = options;
  const apps = new Line<AppConnection>();
  let closing: Promise<void> | undefined;
  let emptied: () => void = () => undefined;

  let listener: TcpListener;
  try {
    listener = await options.tcp.listen({ local: options.local }, (socket) => {
      const { connection, handler, start } = createAppConnection(socket, clock);
      if (closing || apps.size >= limits.connections) {
        const detail = closing ? 'it is shutting down' : `${limits.connections} connections already`;
        options.event({ type: 'app-refused', app: connection.remoteAddress, detail });
        socket.reset();
        return handler;
      }
      const place = apps.join(connection);
      connection.over.addEventListener(
        'abort',
        () => {
          apps.leave(place);
          if (apps.size === 0) emptied();
        },
        { once: true },
      );
      connection.limitRequest(limits.requestTimeout);
      start();
      options.serve(connection);
      return handler;
    });
  } catch (error) {
    throw listenError(error, options.local);
  }

  const end = async (drain: number): Promise<void> => {
    listener.close();
    if (apps.size > 0 && drain > 0) {
      await new Promise<void>((resolve) => {
        const timer = clock.setTimeout(resolve, drain);
        emptied = () => {
          clock.clearTimeout(timer);
          resolve();
        };
      });
    }
    for (const { socket } of apps) socket.reset();
  };
  return {
    localAddress: listener.localAddress,
    get connections() {
      return apps.size;
    },
    close({ drain = 0 } = {}) {
      closing ??= end(drain);
      return closing;
    },
  };
}
