import type { SocketAddress } from '../quic/address.js';
import {
  UdpOpenError,
  type UdpProblem,
  type UdpSocket,
  type UdpSocketHandler,
  type UdpSockets,
} from '../quic/udp-socket.js';
import { SOCKET_BUFFER } from '../tunnel/udp/socket-buffer.js';

export type UdpDial =
  | { readonly kind: 'open'; readonly socket: UdpSocket; readonly remote: SocketAddress }
  | { readonly kind: 'failed'; readonly problem: UdpProblem; readonly errno: string };

/** Another address may do better. */
const tryNext: Record<UdpProblem, boolean> = {
  'host-unreachable': true,
  'network-unreachable': true,
  refused: true,
  denied: true,
  other: true,
  // The local end of a connected socket is free or not for each remote on its own.
  'no-ports': true,
  'too-large': true,
  'no-descriptors': false,
  'no-memory': false,
};

/**
 * Opens a socket connected to the first of the addresses that the machine has a route to. UDP has no
 * handshake to race, so the addresses are tried in order, and connecting tells at once when there is no route
 * (RFC 9298 section 3.1: the socket takes packets of this peer only). Never rejects.
 */
export async function dialUdp(
  sockets: UdpSockets,
  addresses: readonly string[],
  port: number,
  handler: UdpSocketHandler,
): Promise<UdpDial> {
  let last: UdpDial = { kind: 'failed', problem: 'host-unreachable', errno: 'EHOSTUNREACH' };
  for (const address of addresses) {
    const remote = { address, port };
    try {
      const socket = await sockets.open({ remote, bufferSize: SOCKET_BUFFER }, handler);
      return { kind: 'open', socket, remote };
    } catch (error) {
      if (!(error instanceof UdpOpenError)) return { kind: 'failed', problem: 'other', errno: String(error) };
      last = { kind: 'failed', problem: error.problem, errno: error.errno };
      if (!tryNext[error.problem]) break;
    }
  }
  return last;
}
