import type { RequestHead } from '../http/request.js';
import type { ServerStream, TunnelStreamHandler } from '../http/tunnel-stream.js';
import { checkCapsuleRequest } from '../protocol/capsule-message.js';
import type { Fields } from '../protocol/fields.js';
import type { HttpVersion, ResetReason } from '../protocol/reset-reason.js';
import { spliceAfter } from '../tunnel/data-path.js';
import type { UdpFarHandler, UdpFarSide } from '../tunnel/udp/far-side.js';
import { serveUdp, type UdpServing, type UdpServingEnd } from '../tunnel/udp/serve-udp.js';
import { SocketFarSide } from '../tunnel/udp/socket-far-side.js';
import type { TargetAsk } from './admission.js';
import type { TunnelCounters, TunnelDescription } from './events.js';
import { openUdpTarget } from './open-udp-target.js';
import type { TargetWays } from './open-way.js';
import { type Refusal, refusal } from './refusal.js';
import type { Guest, ProxyParts } from './serve-request.js';
import { ServedTunnel, sideEndText, type TunnelEnd } from './serve-tunnel.js';
import type { Routed } from './target-route.js';
import type { RunningTunnel } from './tunnel-registry.js';

/** The way to a target's socket, and through the next hop. */
function udpWays(parts: ProxyParts): TargetWays<UdpFarHandler, UdpFarSide> {
  return {
    kind: 'udp',
    async direct(admitted, handler, asker) {
      const way = await openUdpTarget(parts, admitted, handler, asker);
      if (way.kind === 'refused' || parts.dataPath === 'js') return way;
      return { ...way, far: new SocketFarSide(way.far) };
    },
    via: (relay, hop, asked, handler, signal) => relay.openUdp(hop, asked, handler, signal),
    discard: (far) => far.close({ kind: 'reset', reason: 'cancelled' }),
  };
}

/** A class because there are thousands. */
class RunningUdp implements RunningTunnel {
  constructor(
    readonly description: TunnelDescription,
    private readonly serving: UdpServing,
  ) {}

  counters(): TunnelCounters {
    const { dataPath } = this.serving;
    return { kind: 'udp', dataPath, statistics: { ...this.serving.statistics() } };
  }

  end(): void {
    this.serving.end();
  }

  reset(reason: ResetReason): void {
    this.serving.reset(reason);
  }
}

class UdpAsk implements TargetAsk {
  readonly kind = 'udp';
  readonly challenge = 'origin';

  constructor(
    readonly version: HttpVersion,
    readonly fields: Fields,
    readonly routed: Routed,
  ) {}

  check(): Refusal | undefined {
    // RFC 9297 section 3.2.
    try {
      checkCapsuleRequest(this.fields);
      return undefined;
    } catch (error) {
      return refusal('ERR_REQUEST_MALFORMED', String(error));
    }
  }
}

/** Serves one CONNECT-UDP request (RFC 9298). */
export function serveUdpRequest(
  parts: ProxyParts,
  guest: Guest,
  stream: ServerStream,
  request: Extract<RequestHead, { kind: 'extended' }>,
): TunnelStreamHandler {
  const ask = new UdpAsk(stream.version, request.fields, parts.routes.udp(request.path));
  const tunnel = new ServedTunnel<UdpFarHandler, UdpFarSide>(parts, guest, ask);
  const running = (description: TunnelDescription): RunningTunnel => new RunningUdp(description, serving);
  const serving: UdpServing = serveUdp(
    stream,
    (handler, asker) => tunnel.dial(udpWays(parts), running, handler, asker),
    {
      clock: parts.clock,
      idleTimeout: parts.limits().udpIdleTimeout,
      spliceAfter: spliceAfter[parts.dataPath],
      earlyRoom: guest.earlyRoom,
    },
  );
  serving.closed.then((end) => tunnel.over(whyEnded(end)));
  return serving.streamHandler;
}

function whyEnded({ cause, outcome }: UdpServingEnd): TunnelEnd {
  switch (cause.kind) {
    case 'target':
      return { reason: 'target', detail: cause.errno };
    case 'hop':
      return { reason: 'hop', detail: sideEndText(cause.how) };
    case 'idle':
      return { reason: 'idle', detail: '' };
    case 'protocol':
      return { reason: 'protocol', detail: outcome.kind === 'reset' ? outcome.reason : '' };
    case 'local':
      return { reason: 'drained', detail: '' };
    case 'client':
    case 'refused':
      if (outcome.kind === 'lost') return { reason: 'lost', detail: outcome.detail };
      return { reason: 'client', detail: outcome.kind === 'reset' ? outcome.reason : '' };
  }
}
