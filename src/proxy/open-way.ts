import type { ProxyStatus } from '../protocol/proxy-status.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import type { SocketAddress } from '../quic/address.js';
import type { HopAnswer } from '../relay/hop-answer.js';
import type { NextHop } from '../relay/next-hop.js';
import type { Relay, RelayRequest } from '../relay/relay.js';
import type { Asking } from '../tunnel/asker.js';
import type { Admitted } from './admission.js';
import { openVia } from './open-via.js';
import type { Refusal } from './refusal.js';
import type { ProxyParts } from './serve-request.js';

/** A far side that is up: the target's, or the next hop's. */
export interface OpenWay<Far> {
  readonly kind: 'open';
  readonly far: Far;
  readonly remote: SocketAddress;
  /** The next hop as `HOST:PORT`. */
  readonly via?: string;
  /** Proxy-Status of the hops, nearest the target first, and more of this proxy's own entry. */
  readonly behind: readonly ProxyStatus[];
  readonly own?: Partial<ProxyStatus>;
}

/** The two ways to a target, for one kind of tunnel. None of them rejects. */
export interface TargetWays<Handler, Far> {
  readonly kind: 'udp' | 'tcp';
  direct(admitted: Admitted, handler: Handler, asker: Asking): Promise<OpenWay<Far> | Refusal>;
  via(
    relay: Relay,
    hop: NextHop,
    request: RelayRequest,
    handler: Handler,
    signal: AbortSignal,
  ): Promise<HopAnswer<Far>>;
  /** A far side that came too late is not wanted. */
  discard(far: Far): void;
}

/** Goes the way that was decided on. Never rejects. */
export async function openWay<Handler, Far>(
  parts: ProxyParts,
  ways: TargetWays<Handler, Far>,
  admitted: Admitted,
  received: HttpVersion,
  handler: Handler,
  asker: Asking,
): Promise<OpenWay<Far> | Refusal> {
  const { hop, target, via } = admitted;
  const { relay } = parts;
  if (hop === undefined || !relay) return ways.direct(admitted, handler, asker);
  return openVia(relay, parts.rules(), hop, target, ways.kind, (next) =>
    ways.via(relay, next, { target, via, received }, handler, asker.signal),
  );
}
