import type { ResponseHead } from '../http/request.js';
import type { Fields } from '../protocol/fields.js';
import { formatProxyStatus } from '../protocol/proxy-status.js';
import { formatHostPort } from '../protocol/target.js';
import type { Asker } from '../tunnel/asker.js';
import type { SideEnd } from '../tunnel/side-end.js';
import { Admission, type Admitted, type TargetAsk } from './admission.js';
import type { TunnelDescription, TunnelEndReason } from './events.js';
import { type OpenWay, openWay, type TargetWays } from './open-way.js';
import { PROXY_NAME, type Refusal, refusal } from './refusal.js';
import type { Guest, ProxyParts } from './serve-request.js';
import type { RunningTunnel } from './tunnel-registry.js';
import { beforeTimeout } from './within-time.js';

/** What the answer to a request for a tunnel is. */
export type DialOutcome<Far> =
  | { readonly kind: 'open'; readonly far: Far; readonly fields: Fields }
  | { readonly kind: 'refused'; readonly head: ResponseHead };

export interface TunnelEnd {
  readonly reason: TunnelEndReason;
  readonly detail: string;
}

/** A tunnel that `serveTunnel` tells of, once it is open. */
export type RunningFrom = (description: TunnelDescription) => RunningTunnel;

/**
 * A tunnel from its request to its end, as limits, events and registry see it: what all kinds of tunnels have in
 * common on their way in, namely who asks, for what, whether it may, the time that this takes, and what is told of
 * it. A class because there are thousands.
 */
export class ServedTunnel<Handler, Far> {
  private readonly began: number;
  private readonly admission: Admission;
  private tunnel: RunningTunnel | undefined;

  constructor(
    private readonly parts: ProxyParts,
    private readonly guest: Guest,
    private readonly ask: TargetAsk,
  ) {
    this.began = parts.clock.now();
    this.admission = new Admission(parts, guest, ask);
  }

  /**
   * Finds out whether the request is granted, and reaches its target. `running` is asked for once the tunnel is
   * open. The asker is sent away when this takes too long. Never rejects.
   */
  async dial(
    ways: TargetWays<Handler, Far>,
    running: RunningFrom,
    handler: Handler,
    asker: Asker,
  ): Promise<DialOutcome<Far>> {
    const { parts, admission, ask } = this;
    const discard = ({ far }: OpenWay<Far>): void => ways.discard(far);
    let admitted: Admitted | undefined;
    let late = false;
    const open = async (): Promise<OpenWay<Far> | Refusal> => {
      const outcome = await admission.admit(asker);
      if (outcome.kind === 'refused') return outcome;
      admitted = outcome;
      return openWay(parts, ways, outcome, ask.version, handler, asker);
    };
    const tooLate = (): void => {
      late = !asker.gone;
      asker.leave();
    };
    const way = await beforeTimeout(open, discard, tooLate, parts.clock, parts.limits().openTimeout);
    if (way.kind === 'refused') {
      const silent = asker.gone && !late;
      return { kind: 'refused', head: silent ? admission.refuseSilently(way) : admission.refuse(way) };
    }
    if (asker.gone || parts.draining() || !admitted) {
      discard(way);
      const refused = refusal('ERR_DRAINING', 'the proxy is draining');
      return { kind: 'refused', head: admission.refuseSilently(refused) };
    }
    this.opened(admitted, way, running);
    const value = formatProxyStatus(...way.behind, {
      nextHop: formatHostPort(way.remote.address, way.remote.port),
      ...way.own,
      name: PROXY_NAME,
    });
    return { kind: 'open', far: way.far, fields: [['proxy-status', value]] };
  }

  /** The stream is over. */
  over(why: TunnelEnd): void {
    this.admission.release();
    if (!this.tunnel) return;
    const { clock, events } = this.parts;
    const { description } = this.tunnel;
    const duration = clock.now() - this.began;
    // What a far side did, the next hop did where the tunnel goes to one.
    const reason = why.reason === 'target' && description.via !== undefined ? 'hop' : why.reason;
    const { detail } = why;
    events.emit({
      event: 'tunnel-closed',
      ...description,
      reason,
      detail,
      duration,
      ...this.tunnel.counters(),
    });
  }

  private opened(admitted: Admitted, { remote, via }: OpenWay<Far>, running: RunningFrom): void {
    const { tunnels, events } = this.parts;
    const description: TunnelDescription = {
      id: tunnels.opened + 1,
      kind: this.ask.kind,
      connection: this.guest.id,
      version: this.ask.version,
      user: admitted.user.name,
      client: this.guest.connection.remoteAddress,
      target: admitted.target,
      nextHop: remote,
      ...(via === undefined ? {} : { via }),
    };
    this.tunnel = running(description);
    this.admission.place?.opened(this.tunnel);
    events.emit({ event: 'tunnel-opened', ...description });
  }
}

/** How a next hop ended its side, in words. */
export function sideEndText(how: SideEnd): string {
  switch (how.kind) {
    case 'ended':
      return 'ended';
    case 'reset':
      return `reset, ${how.reason}`;
    case 'lost':
      return `lost, ${how.detail}`;
  }
}
