import type { ErrorCode } from '../protocol/failures.js';
import type { UdpProblem, UdpSocket, UdpSocketHandler, UdpSockets } from '../quic/udp-socket.js';
import type { Asking } from '../tunnel/asker.js';
import type { Admitted } from './admission.js';
import { type AllowedAddressesOptions, allowedAddresses } from './allowed-addresses.js';
import { dialUdp } from './dial-udp.js';
import type { OpenWay } from './open-way.js';
import { type Refusal, refusal } from './refusal.js';

const codeOfProblem: Record<UdpProblem, ErrorCode> = {
  refused: 'ERR_TARGET_CLOSED',
  'host-unreachable': 'ERR_TARGET_UNREACHABLE',
  'network-unreachable': 'ERR_TARGET_UNREACHABLE',
  'too-large': 'ERR_INTERNAL',
  'no-ports': 'ERR_PORTS_EXHAUSTED',
  'no-descriptors': 'ERR_PORTS_EXHAUSTED',
  'no-memory': 'ERR_PORTS_EXHAUSTED',
  denied: 'ERR_TARGET_UNREACHABLE',
  other: 'ERR_TARGET_UNREACHABLE',
};

export interface OpenUdpTargetOptions extends AllowedAddressesOptions {
  readonly sockets: UdpSockets;
}

/**
 * From a target's name to a socket: resolves, judges every address, and dials the first that is allowed and
 * has a route. The address that was judged is the address that is dialled. Never rejects.
 */
export async function openUdpTarget(
  options: OpenUdpTargetOptions,
  { target, user }: Admitted,
  handler: UdpSocketHandler,
  asker: Asking,
): Promise<OpenWay<UdpSocket> | Refusal> {
  const allowed = await allowedAddresses(options, target, undefined, user.name, asker);
  if ('kind' in allowed) return allowed;
  const dialled = await dialUdp(options.sockets, allowed, target.port, handler);
  if (dialled.kind === 'failed') return refusal(codeOfProblem[dialled.problem], dialled.errno);
  return { kind: 'open', far: dialled.socket, remote: dialled.remote, behind: [] };
}
