import type { SocketAddress } from '../quic/address.js';
import type { VirtualPacketPath } from '../quic/engine.js';
import type { OpenUdpTunnel, UdpTunnelHandler } from '../tunnel/udp/open-udp.js';

/** RFC 9000 section 14: the smallest packet that every QUIC path carries, bytes. */
export const SMALLEST_PATH = 1_200;

/**
 * With this much room the next tunnel carries QUIC packets too: 38 bytes are QUIC's own, the rest names the
 * stream and the context.
 */
export const ROOMY_PATH = 1_240;

/** What one tunnel takes of a packet at most: QUIC 38 bytes, the number of the stream 4, the context 1. */
const TUNNEL_OVERHEAD = 43;

/** The largest packet that QUIC looks for on a path of the network, bytes (1,500 of Ethernet less IPv6 and UDP). */
const LARGEST_PATH = 1_452;

/** What the path through `tunnels` tunnels, one in the other, may come to carry, bytes. */
export function largestThrough(tunnels: number): number {
  return Math.max(SMALLEST_PATH, LARGEST_PATH - tunnels * TUNNEL_OVERHEAD);
}

/** The way of QUIC packets through a UDP tunnel; made before the tunnel, which it then takes. */
export interface TunnelPath {
  /** Give this to the tunnel. */
  readonly handler: UdpTunnelHandler;
  /** Resolves once the tunnel carries payloads of `size` bytes (it may have to find out first), or the signal aborts. */
  carries(tunnel: OpenUdpTunnel, size: number, signal: AbortSignal): Promise<boolean>;
  /** The path to `remote`: what the tunnel carries now is its first size; it may grow and shrink with the tunnel. */
  over(tunnel: OpenUdpTunnel, remote: SocketAddress): VirtualPacketPath;
}

export function createTunnelPath(): TunnelPath {
  let deliver: ((bytes: Uint8Array, start: number, end: number, from: SocketAddress) => void) | undefined;
  let from: SocketAddress = { address: '192.0.2.1', port: 0 };
  let widened: () => void = () => undefined;
  return {
    handler: {
      payload(bytes, start, end) {
        deliver?.(bytes, start, end, from);
      },
      maxPayloadSize: () => widened(),
    },
    carries: (tunnel, size, signal) =>
      new Promise((resolve) => {
        const settle = (): void => {
          const wide = tunnel.maxPayloadSize >= size;
          if (!wide && !signal.aborted) return;
          signal.removeEventListener('abort', settle);
          widened = () => undefined;
          resolve(wide);
        };
        widened = settle;
        signal.addEventListener('abort', settle, { once: true });
        settle();
      }),
    over(tunnel, remote) {
      from = remote;
      return {
        maxPacketSize: tunnel.maxPayloadSize,
        // Nobody looks at it: the hop before chooses what the remote sees.
        localAddress: { address: remote.address.includes(':') ? '::' : '0.0.0.0', port: 0 },
        transmit(bytes, start, end) {
          // What the tunnel drops is a packet lost.
          tunnel.send(bytes, start, end);
        },
        attach(into) {
          deliver = into;
        },
        closed() {
          deliver = undefined;
          tunnel.end();
        },
      };
    },
  };
}
