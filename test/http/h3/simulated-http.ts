import { createVirtualClock, type VirtualClock } from '../../../src/clock/virtual-clock.js';
import type { HttpClientConnection, HttpServerConnection } from '../../../src/http/connection.js';
import { dialH3, type H3DialOptions } from '../../../src/http/h3/client.js';
import type { H3Limits } from '../../../src/http/h3/limits.js';
import { acceptH3 } from '../../../src/http/h3/server.js';
import type { QuicAccept, QuicConnection } from '../../../src/quic/connection.js';
import type { QuicConnectOptions, QuicTransportOptions } from '../../../src/quic/engine.js';
import {
  createSimulatedNetwork,
  type SimulatedNetwork,
  type SimulatedNetworkOptions,
} from '../../../src/quic/simulated/network.js';
import { recorder, recordingHandler, type Served } from './recorded-streams.js';

export const serverAddress = '192.0.2.1';
export const clientAddress = '192.0.2.2';
const port = 443;

export interface ServerSide {
  readonly connections: HttpServerConnection[];
  readonly requests: Served[];
  /** Runs for each request before it is recorded further. */
  onRequest: (served: Served) => void;
}

export interface Network {
  readonly clock: VirtualClock;
  readonly network: SimulatedNetwork;
}

export function createNetwork(options: Partial<SimulatedNetworkOptions> = {}): Network {
  const clock = createVirtualClock();
  return { clock, network: createSimulatedNetwork({ clock, ...options }) };
}

export function connectOptions(transport: QuicTransportOptions = {}): QuicConnectOptions {
  return {
    remote: { address: serverAddress, port },
    tls: { serverName: 'proxy.test', alpn: ['h3'], trust: { mode: 'system' } },
    transport,
  };
}

export async function listen(
  { network }: Network,
  accept: QuicAccept,
  transport: QuicTransportOptions = {},
): Promise<void> {
  await network.engine(serverAddress).listen(
    {
      local: { address: serverAddress, port },
      tls: { certificates: [], alpn: ['h3'] },
      transport,
    },
    accept,
  );
}

/** An HTTP/3 server that records its requests; by default it gives each stream plenty of credit. */
export async function serve(
  net: Network,
  limits: Partial<H3Limits> = {},
  transport: QuicTransportOptions = {},
): Promise<ServerSide> {
  const side: ServerSide = {
    connections: [],
    requests: [],
    onRequest: ({ stream }) => stream.grant(1 << 20),
  };
  const accept = acceptH3({ clock: net.clock, limits }, (connection) => {
    side.connections.push(connection);
    return {
      request(stream) {
        const served: Served = Object.assign(recorder(), { stream });
        side.requests.push(served);
        side.onRequest(served);
        return recordingHandler(served);
      },
    };
  });
  await listen(net, accept, transport);
  return side;
}

export interface Dialled {
  readonly connection: HttpClientConnection;
  readonly log: string[];
}

/** Dials `serverAddress`, letting the clock run until that is settled. */
export async function dial(
  net: Network,
  options: Partial<H3DialOptions> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<Dialled> {
  const log: string[] = [];
  const dialling = dialH3(
    net.network.engine(clientAddress),
    { quic: connectOptions(), clock: net.clock, ...options },
    {
      draining: () => log.push('draining'),
      closed: (close) => log.push(`closed ${close.reason}`),
    },
    signal,
  );
  dialling.catch(() => undefined);
  await net.clock.advanceAsync(200);
  return { connection: await dialling, log };
}

/** The server's QUIC connections, for a test that acts below HTTP. */
export function tapped(accept: QuicAccept, taken: QuicConnection[]): QuicAccept {
  return (connection) => {
    taken.push(connection);
    return accept(connection);
  };
}
