import type { Clock, Timer } from '../clock/clock.js';
import type { BautaError } from '../protocol/bauta-error.js';
import type { SocketAddress } from '../quic/address.js';
import type { UdpSocket, UdpSockets } from '../quic/udp-socket.js';
import { type DataPath, spliceAfter } from '../tunnel/data-path.js';
import { SOCKET_BUFFER } from '../tunnel/udp/socket-buffer.js';
import { listenError } from './listen-error.js';
import { createUdpFlow, type FlowMoved, type OpenFlow, type UdpFlow } from './udp-flow.js';

/** What a forward tells. */
export type UdpForwardEvent =
  | { readonly type: 'peer-opened'; readonly peer: SocketAddress }
  | {
      readonly type: 'peer-closed';
      readonly peer: SocketAddress;
      readonly reason: 'idle' | 'ended' | 'forced';
      /** What moved its datagrams in the end. */
      readonly dataPath: 'js' | 'splice';
    }
  /** The tunnel for a peer could not be opened; its next datagram tries again. */
  | { readonly type: 'peer-failed'; readonly peer: SocketAddress; readonly error: BautaError };

export interface UdpForwardStatistics {
  readonly peers: number;
  readonly sent: number;
  readonly received: number;
  /** Datagrams given up: too many peers, no tunnel yet and the wait is full, or the tunnel did not take it. */
  readonly dropped: number;
}

export interface UdpForwardOptions {
  readonly sockets: UdpSockets;
  readonly local: SocketAddress;
  /** Opens a tunnel to the forward's target. */
  readonly open: OpenFlow;
  readonly clock: Clock;
  readonly event: (event: UdpForwardEvent) => void;
  /** Local peers at once; default 1,024. Above it the one that was quiet longest goes, if it was for 10 s. */
  readonly maxPeers?: number;
  /** Milliseconds without a datagram after which a peer's tunnel is ended; default 150,000. */
  readonly idleTimeout?: number;
  /** What moves the datagrams of a peer; default `auto`: the engine, where it can, after a short exchange. */
  readonly dataPath?: DataPath;
}

/** A bound local UDP port whose datagrams travel to one target through the proxy, and never around it. */
export interface UdpForward {
  readonly localAddress: SocketAddress;
  statistics(): UdpForwardStatistics;
  close(): Promise<void>;
}

type Peer = { readonly address: SocketAddress; readonly flow: UdpFlow };

const EVICTABLE_AFTER = 10_000;
/** Milliseconds until all peers are looked at again for one that was quiet. */
const LOOK_AGAIN = 1_000;

/**
 * Binds a local UDP port and gives each local peer a tunnel of its own. A tunnel that ends, for whatever reason,
 * is opened again with the peer's next datagram. Rejects with `ERR_PORT_IN_USE`, `ERR_PORT_PRIVILEGE` or
 * `ERR_ADDRESS_UNAVAILABLE`.
 */
export async function openUdpForward(options: UdpForwardOptions): Promise<UdpForward> {
  const { clock, maxPeers = 1_024, idleTimeout = 150_000, dataPath = 'auto' } = options;
  /** By address, then by port: finding a peer makes no string. */
  const byAddress = new Map<string, Map<number, Peer>>();
  const counters = { sent: 0, dropped: 0 };
  let count = 0;
  let received = 0;
  let crowdedUntil = Number.NEGATIVE_INFINITY;
  let closed = false;
  let sweepTimer: Timer | undefined;

  const each = function* (): Generator<Peer> {
    for (const ports of byAddress.values()) yield* ports.values();
  };
  const remove = (peer: Peer): boolean => {
    const ports = byAddress.get(peer.address.address);
    if (ports?.get(peer.address.port) !== peer) return false;
    ports.delete(peer.address.port);
    if (ports.size === 0) byAddress.delete(peer.address.address);
    count -= 1;
    return true;
  };
  const finish = (peer: Peer, reason: 'idle' | 'ended' | 'forced'): void => {
    if (!remove(peer)) return;
    const { dataPath } = peer.flow;
    const moved = peer.flow.moved();
    if (moved) add(moved);
    peer.flow.end();
    if (!peer.flow.tunnel) return;
    options.event({ type: 'peer-closed', peer: peer.address, reason, dataPath });
  };
  const add = (moved: FlowMoved): void => {
    counters.sent += moved.sent;
    counters.dropped += moved.dropped;
    received += moved.received;
  };

  const makeRoom = (): boolean => {
    if (count < maxPeers) return true;
    if (clock.now() < crowdedUntil) return false;
    let quietest: Peer | undefined;
    let since = Number.POSITIVE_INFINITY;
    for (const peer of each()) {
      const { lastActive } = peer.flow;
      if (lastActive < since) [quietest, since] = [peer, lastActive];
    }
    if (!quietest || clock.now() - since < EVICTABLE_AFTER) {
      crowdedUntil = clock.now() + LOOK_AGAIN;
      return false;
    }
    finish(quietest, 'forced');
    return true;
  };
  const newPeer = (from: SocketAddress): Peer | undefined => {
    if (!makeRoom()) return undefined;
    const address = { address: from.address, port: from.port };
    const peer: Peer = {
      address,
      flow: createUdpFlow({
        open: options.open,
        clock,
        payload(bytes, start, end) {
          if (socket.send(bytes, start, end, address) === 'sent') received += 1;
          else counters.dropped += 1;
        },
        opened: () => options.event({ type: 'peer-opened', peer: address }),
        failed: (error) => options.event({ type: 'peer-failed', peer: address, error }),
        ended: () => finish(peer, 'ended'),
        count(outcome, datagrams) {
          counters[outcome] += datagrams;
        },
        splice: {
          after: spliceAfter[dataPath],
          open: (handler) =>
            options.sockets.open(
              { local: socket.localAddress, remote: address, bufferSize: SOCKET_BUFFER, port: 'of-another' },
              handler,
            ),
        },
      }),
    };
    let ports = byAddress.get(from.address);
    if (!ports) {
      ports = new Map();
      byAddress.set(from.address, ports);
    }
    ports.set(from.port, peer);
    count += 1;
    return peer;
  };
  const packet = (bytes: Uint8Array, start: number, end: number, from: SocketAddress | undefined): void => {
    if (!from || closed) return;
    const peer = byAddress.get(from.address)?.get(from.port) ?? newPeer(from);
    if (peer) peer.flow.send(bytes, start, end);
    else counters.dropped += 1;
  };

  const sweep = (): void => {
    const before = clock.now() - idleTimeout;
    for (const peer of [...each()]) if (peer.flow.lastActive <= before) finish(peer, 'idle');
    sweepTimer = clock.setTimeout(sweep, idleTimeout / 10);
  };

  let socket: UdpSocket;
  try {
    // The socket's own problems (an ICMP error for a peer that left, say) concern one packet: UDP loses it.
    socket = await options.sockets.open(
      { local: options.local, bufferSize: SOCKET_BUFFER, port: 'for-others' },
      { packet, problem: () => undefined },
    );
  } catch (error) {
    throw listenError(error, options.local);
  }
  sweepTimer = clock.setTimeout(sweep, idleTimeout / 10);

  return {
    localAddress: socket.localAddress,
    statistics() {
      let { sent, dropped } = counters;
      let delivered = received;
      for (const { flow } of each()) {
        const moved = flow.moved();
        sent += moved?.sent ?? 0;
        dropped += moved?.dropped ?? 0;
        delivered += moved?.received ?? 0;
      }
      return { peers: count, sent, received: delivered, dropped };
    },
    async close() {
      if (closed) return;
      closed = true;
      clock.clearTimeout(sweepTimer);
      const tunnels = [...each()].flatMap(({ flow }) => (flow.tunnel ? [flow.tunnel] : []));
      for (const peer of [...each()]) finish(peer, 'forced');
      socket.close();
      await Promise.all(tunnels.map((tunnel) => tunnel.closed));
    },
  };
}
