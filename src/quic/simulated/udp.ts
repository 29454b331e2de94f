import type { SocketAddress } from '../address.js';
import {
  UdpOpenError,
  type UdpProblem,
  type UdpSocket,
  type UdpSocketHandler,
  type UdpSocketOptions,
  type UdpSockets,
  zeroUdpSocketStatistics,
} from '../udp-socket.js';
import type { NetworkCore } from './engine.js';
import { type Host, localAddress } from './host.js';
import { giveView } from './poison.js';

/** How the network reaches a socket. */
export interface SimulatedUdpSocket {
  packet(bytes: Uint8Array, from: SocketAddress): void;
}

/** UDP sockets of one host: packets may be lost, late and too large; a closed port is told to a connected socket. */
export function createSimulatedUdpSockets(
  network: NetworkCore,
  host: Host,
): { readonly face: UdpSockets; closeAll(): void } {
  const { link, scheduler } = network;
  const open = new Set<UdpSocket>();

  const openSocket = (options: UdpSocketOptions, handler: UdpSocketHandler): UdpSocket => {
    const { remote } = options;
    const address = localAddress(host, options.local);
    if (address === undefined) throw new UdpOpenError('other', 'EADDRNOTAVAIL');
    const wanted = options.local?.port ?? 0;
    const port = wanted === 0 ? host.freePort() : wanted;
    if (port === undefined || host.sockets.has(port) || host.listeners.has(port)) {
      throw new UdpOpenError('no-ports', 'EADDRINUSE');
    }
    const local: SocketAddress = { address, port };
    const count = zeroUdpSocketStatistics();
    let alive = true;

    const problem = (kind: UdpProblem, errno: string): void => {
      if (alive) handler.problem(kind, errno);
    };
    // An ICMP error finds its way to a connected socket only.
    const icmp = (kind: UdpProblem, errno: string, from: string): void => {
      if (remote) link.sendLossy(from, address, 0, () => problem(kind, errno));
    };
    const arrive = (bytes: Uint8Array, to: SocketAddress): void => {
      const target = network.hosts.get(to.address);
      const targetSocket = target?.sockets.get(to.port);
      if (!target) icmp('host-unreachable', 'EHOSTUNREACH', to.address);
      else if (!targetSocket) icmp('refused', 'ECONNREFUSED', to.address);
      else targetSocket.packet(bytes, local);
    };
    const socket: UdpSocket = {
      localAddress: local,
      send(bytes, start, end, to) {
        const target = remote ?? to;
        if (!alive || !target) return 'dropped';
        if (end - start > link.conditions.mtu) {
          count.droppedSending += 1;
          scheduler.after(0, () => problem('too-large', 'EMSGSIZE'));
          return 'dropped';
        }
        const copy = Uint8Array.prototype.slice.call(bytes, start, end);
        count.packetsSent += 1;
        count.bytesSent += copy.length;
        link.sendLossy(address, target.address, copy.length, () => arrive(copy, target));
        return 'sent';
      },
      statistics: () => ({ ...count }),
      close() {
        if (!alive) return;
        alive = false;
        host.sockets.delete(port);
        open.delete(socket);
      },
    };
    host.sockets.set(port, {
      packet(bytes, from) {
        if (remote && (from.address !== remote.address || from.port !== remote.port)) return;
        count.packetsReceived += 1;
        count.bytesReceived += bytes.length;
        giveView(bytes, 0, bytes.length, (view, start, end) => {
          handler.packet(view, start, end, remote ? undefined : from);
        });
      },
    });
    open.add(socket);
    return socket;
  };

  return {
    face: { open: async (options, handler) => openSocket(options, handler) },
    closeAll() {
      for (const socket of [...open]) socket.close();
    },
  };
}
