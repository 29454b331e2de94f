import { isIP } from 'node:net';
import type { Clock } from '../clock/clock.js';
import { dialH3 } from '../http/h3/client.js';
import type { StreamOutcome } from '../http/tunnel-stream.js';
import { BautaError } from '../protocol/bauta-error.js';
import type { SocketAddress } from '../quic/address.js';
import type { QuicEngine } from '../quic/engine.js';
import type { OpenUdpTunnel } from '../tunnel/udp/open-udp.js';
import { createHttpTransport } from '../upstream/http-transport.js';
import type { TransportConnection, TransportDriver } from '../upstream/transport.js';
import type { ClientCore } from './client-core.js';
import { startTimeLimit } from './time-limit.js';
import {
  createTunnelPath,
  largestThrough,
  ROOMY_PATH,
  SMALLEST_PATH,
  type TunnelPath,
} from './tunnel-path.js';
import { dialOverTcp, type TunnelledTcpOptions } from './tunnelled-tcp.js';

export interface TunnelledDriverOptions extends TunnelledTcpOptions {
  /** Runs the inner QUIC. */
  readonly engine: () => QuicEngine;
  /** Opens a UDP tunnel of the hop before. */
  readonly openUdp: ClientCore['openRawUdp'];
  /** Tunnels, one in the other, that the connection goes through. */
  readonly tunnels: number;
}

/** A PING this often notices a dead path, milliseconds. */
const KEEP_ALIVE = 15_000;

/** An address for the books of QUIC: a name is left to the hop before, which resolves it (RFC 5737, TEST-NET-1). */
function addressOf(host: string, port: number): SocketAddress {
  return { address: isIP(host) ? host : '192.0.2.1', port };
}

function detailOf(outcome: StreamOutcome): string {
  switch (outcome.kind) {
    case 'ended':
      return 'it ended';
    case 'reset':
      return `it was reset: ${outcome.reason}`;
    case 'lost':
      return outcome.detail || outcome.reason;
  }
}

/** A tunnel may have to find out what its path carries; it gets this long to, milliseconds. */
const ROOM_TIME = 2_000;

/** Waits until QUIC fits into the tunnel, and a little longer for room for one tunnel more. */
async function findRoom(
  clock: Clock,
  path: TunnelPath,
  tunnel: OpenUdpTunnel,
  timeout: number,
  gone: AbortSignal,
): Promise<boolean> {
  for (const [size, time] of [
    [ROOMY_PATH, Math.min(ROOM_TIME, timeout)],
    [SMALLEST_PATH, timeout],
  ] as const) {
    using limit = startTimeLimit(clock, time, undefined, gone);
    if (await path.carries(tunnel, size, limit.signal)) return true;
  }
  return false;
}

/**
 * Dials inside tunnels of the hop before (nested chain): HTTP/3 in a UDP tunnel, HTTP/2 and HTTP/1.1 in TCP
 * tunnels. The connection ends with its tunnel, and
 * the tunnel with its connection.
 */
export function createTunnelledDriver(options: TunnelledDriverOptions): TransportDriver {
  const { clock, handshakeTimeout, through } = options;
  let connections = 0;
  return {
    async dial(target, signal): Promise<TransportConnection> {
      const { host, port, tls } = target;
      if (target.version !== 'h3') return dialOverTcp(options, target, ++connections, signal);
      const path = createTunnelPath();
      const tunnel = await options.openUdp({ host, port }, path.handler, {
        signal,
        timeout: handshakeTimeout,
      });
      const gone = new AbortController();
      const over = (): void => gone.abort();
      let ended: StreamOutcome | undefined;
      const watching = tunnel.closed.then((outcome) => {
        ended = outcome;
        over();
      });
      signal.addEventListener('abort', over, { once: true });
      if (signal.aborted) over();
      const lost = (): BautaError =>
        new BautaError('ERR_CONNECTION_LOST', {
          detail: `the tunnel through ${through}: ${ended ? detailOf(ended) : 'closed'}`,
        });
      try {
        const wide = await findRoom(clock, path, tunnel, handshakeTimeout, gone.signal);
        if (!wide) {
          if (ended) throw lost();
          throw new BautaError('ERR_PROXY_TIMEOUT', {
            detail: `the tunnel through ${through} carries ${tunnel.maxPayloadSize} bytes, QUIC needs ${SMALLEST_PATH}`,
          });
        }
        const transport = createHttpTransport();
        const connection = await dialH3(
          options.engine(),
          {
            clock,
            settings: { enableConnectProtocol: true, h3Datagram: true },
            quic: {
              remote: addressOf(host, port),
              tls: {
                trust: tls.trust,
                serverName: tls.serverName ?? host,
                alpn: tls.alpn ?? ['h3'],
                ...(tls.certificate ? { certificate: tls.certificate } : {}),
              },
              handshakeTimeout,
              transport: { keepAlive: KEEP_ALIVE, mtuDiscoveryUpTo: largestThrough(options.tunnels) },
              path: path.over(tunnel, addressOf(host, port)),
            },
          },
          transport.handler,
          gone.signal,
        );
        connections += 1;
        const made = transport.attach(connection, connections, { address: host, port });
        void watching.then(() => {
          // The owner hears the reason before the connection, which knows only that it was closed.
          transport.handler.closed?.({ reason: 'reset', code: undefined, detail: lost().message });
          void connection.close();
        });
        return made;
      } catch (error) {
        tunnel.end();
        throw ended && !signal.aborted ? lost() : error;
      } finally {
        signal.removeEventListener('abort', over);
      }
    },
  };
}
