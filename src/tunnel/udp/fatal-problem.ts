import type { UdpProblem } from '../../quic/udp-socket.js';

/** A dead socket, as opposed to one packet that the kernel refused. */
export const isFatal: Record<UdpProblem, boolean> = {
  refused: true,
  'host-unreachable': true,
  'network-unreachable': true,
  'no-ports': true,
  'no-descriptors': true,
  other: true,
  'too-large': false,
  'no-memory': false,
  denied: false,
};
