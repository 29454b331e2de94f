import type { Clock } from '../clock/clock.js';
import type { ErrorCode } from '../protocol/failures.js';
import type { TcpProblem, TcpSockets } from '../quic/tcp-socket.js';
import type { ByteSide, ByteSideHandler } from '../tunnel/tcp/byte-side.js';
import type { Admitted } from './admission.js';
import { type AllowedAddressesOptions, allowedAddresses } from './allowed-addresses.js';
import { dialTcp } from './dial-tcp.js';
import type { ProxyLimits } from './limits.js';
import type { OpenWay } from './open-way.js';
import { type Refusal, refusal } from './refusal.js';

const codeOfProblem: Record<TcpProblem, ErrorCode> = {
  refused: 'ERR_TARGET_CLOSED',
  reset: 'ERR_TARGET_CLOSED',
  timeout: 'ERR_TARGET_TIMEOUT',
  'host-unreachable': 'ERR_TARGET_UNREACHABLE',
  'network-unreachable': 'ERR_TARGET_UNREACHABLE',
  denied: 'ERR_TARGET_UNREACHABLE',
  'no-ports': 'ERR_PORTS_EXHAUSTED',
  'no-descriptors': 'ERR_PORTS_EXHAUSTED',
  'no-memory': 'ERR_PORTS_EXHAUSTED',
  aborted: 'ERR_TIMEOUT',
  other: 'ERR_TARGET_UNREACHABLE',
};

export interface OpenTcpTargetOptions extends AllowedAddressesOptions {
  readonly clock: Clock;
  readonly tcpSockets: TcpSockets;
  readonly limits: () => ProxyLimits;
}

/**
 * From a target's name to a TCP connection that is up: resolves, judges every address, and dials those that are
 * allowed. The address that was judged is the address that is dialled. Never rejects.
 */
export async function openTcpTarget(
  options: OpenTcpTargetOptions,
  { target, user }: Admitted,
  handler: ByteSideHandler,
  signal: AbortSignal,
): Promise<OpenWay<ByteSide> | Refusal> {
  const allowed = await allowedAddresses(options, target, target.port, user.name, { signal });
  if ('kind' in allowed) return allowed;
  const { clock, tcpSockets } = options;
  const { connectTimeout } = options.limits();
  const dialled = await dialTcp(tcpSockets, allowed, target.port, handler, connectTimeout, clock, signal);
  if (dialled.kind === 'failed') {
    const { problem, errno } = dialled;
    const more = problem === 'reset' ? { proxyStatus: 'connection_terminated' } : {};
    return refusal(codeOfProblem[problem], errno, more);
  }
  return { kind: 'open', far: dialled.side, remote: dialled.remote, behind: [] };
}
