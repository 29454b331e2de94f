import type { ByteSide, ByteSideHandler } from '../tunnel/tcp/byte-side.js';
import type { TcpForm } from '../tunnel/tcp/tcp-form.js';
import { openTcpTarget } from './open-tcp-target.js';
import type { TargetWays } from './open-way.js';
import type { ProxyParts } from './serve-request.js';

/**
 * The ways of a TCP tunnel to its target. A next hop is asked in the form in which the client asked, as that is what
 * the two can be expected to agree on.
 */
export function tcpWays(parts: ProxyParts, form: TcpForm): TargetWays<ByteSideHandler, ByteSide> {
  return {
    kind: 'tcp',
    direct: (admitted, handler, asker) => openTcpTarget(parts, admitted, handler, asker.signal),
    via: (relay, hop, request, handler, signal) => relay.openTcp(hop, form, request, handler, signal),
    discard: (far) => far.reset('cancelled'),
  };
}
