import type { ResponseHead } from '../http/request.js';
import type { Fields } from '../protocol/fields.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import type { ViaVerdict } from '../relay/via.js';
import type { Asking } from '../tunnel/asker.js';
import type { Hop } from '../upstream/hop.js';
import { credentialField, type User } from './credentials.js';
import type { Decide } from './decision.js';
import { type Challenge, type Refusal, refusal, refusalHead } from './refusal.js';
import type { Guest, ProxyParts } from './serve-request.js';
import type { AskedTarget, Routed } from './target-route.js';
import type { TunnelPlace } from './tunnel-registry.js';

/** A request for a target, of whatever form. */
export interface TargetAsk {
  /** What carries the target's bytes or packets. */
  readonly kind: 'udp' | 'tcp';
  readonly version: HttpVersion;
  readonly fields: Fields;
  readonly routed: Routed;
  /** What a stranger is asked for. */
  readonly challenge: Challenge;
  /** What is wrong with the message, told to users only. */
  readonly check?: () => Refusal | undefined;
  /** The request is granted, and only its target can still fail. */
  readonly admitted?: () => void;
}

/** Who asks, for what, and where it goes. */
export interface Admitted {
  readonly kind: 'admitted';
  readonly user: User;
  readonly target: AskedTarget;
  /** Undefined: to the target itself. */
  readonly hop: Hop | undefined;
  /** Proxies that the request came through. */
  readonly via: readonly string[];
}

const limitText = {
  total: 'in all',
  user: 'of this user',
  address: 'from this address',
  connection: 'on this connection',
};

const overLimit = (limit: keyof typeof limitText): Refusal =>
  refusal('ERR_TOO_MANY', `too many tunnels ${limitText[limit]}`, limit === 'total' ? { status: 503 } : {});

/** One request on its way in; it holds a place until it is released. A class because there are thousands. */
export class Admission {
  private readonly claimed: TunnelPlace | keyof typeof limitText;
  private user: User | undefined;
  private target: AskedTarget | undefined;

  /** Takes a place for the request on its connection. */
  constructor(
    private readonly parts: ProxyParts,
    private readonly guest: Guest,
    private readonly ask: TargetAsk,
  ) {
    this.claimed = parts.tunnels.claim(guest.id, guest.connection.remoteAddress.address);
  }

  get place(): TunnelPlace | undefined {
    return typeof this.claimed === 'string' ? undefined : this.claimed;
  }

  /** The checks in order; each may say no. */
  async admit(asker: Asking): Promise<Admitted | Refusal> {
    const { parts, ask, claimed } = this;
    const { routed } = ask;
    if (routed.kind === 'elsewhere') return refusal('ERR_NOT_FOUND', 'no template has this path');
    if (parts.draining()) return refusal('ERR_DRAINING', 'the proxy is draining');
    if (typeof claimed === 'string') return overLimit(claimed);

    const who = await this.guest.login.login(credentialField(ask.fields, ask.challenge));
    if (who.kind === 'failed') {
      return refusal('ERR_TOO_MANY', 'credentials cannot be checked now', { status: 503 });
    }
    if (who.kind === 'stranger') return refusal('ERR_CREDENTIALS', 'no valid credentials');
    const { user } = who;
    this.user = user;
    const reached = claimed.claimUser(user.name);
    if (reached) return overLimit(reached);

    if (routed.kind === 'malformed') return refusal('ERR_TARGET_SYNTAX', routed.detail);
    const { target } = routed;
    this.target = target;
    const wrong = ask.check?.();
    if (wrong) return wrong;
    const came: ViaVerdict = parts.loops.came(ask.fields);
    if (came.kind === 'loop') return refusal('ERR_LOOP', came.detail);
    const route = parts.decide
      ? await this.decided(parts.decide, target, user, asker.signal)
      : { hop: parts.via };
    if ('kind' in route) return route;
    ask.admitted?.();
    return { kind: 'admitted', user, target, hop: route.hop, via: came.members };
  }

  /** The answer to a refused request, which is told as an event. */
  refuse(refused: Refusal): ResponseHead {
    const { ask, guest } = this;
    const head = this.refuseSilently(refused);
    this.parts.events.emit({
      event: 'request-refused',
      connection: guest.id,
      version: ask.version,
      client: guest.connection.remoteAddress,
      user: this.user?.name,
      target: this.target,
      status: head.status,
      code: refused.code,
      detail: refused.detail,
    });
    return head;
  }

  /** The same where nobody is there any more to be told. */
  refuseSilently(refused: Refusal): ResponseHead {
    return refusalHead(refused, this.user !== undefined, this.ask.challenge);
  }

  /** Gives the place back. Idempotent. */
  release(): void {
    this.place?.release();
  }

  private async decided(
    decide: Decide,
    target: AskedTarget,
    user: User,
    signal: AbortSignal,
  ): Promise<{ readonly hop: Hop | undefined } | Refusal> {
    const { guest } = this;
    const { kind, version } = this.ask;
    const client = guest.connection.remoteAddress;
    try {
      const decision = await decide({ kind, target, user, client, version, connection: guest.id }, signal);
      if (decision.action === 'direct') return { hop: undefined };
      if (decision.action === 'via') return { hop: decision.hop };
      const { status, error } = decision;
      return refusal('ERR_TARGET_DENIED', 'decided so', { status, proxyStatus: error });
    } catch (error) {
      return refusal('ERR_INTERNAL', `decide failed: ${String(error)}`);
    }
  }
}
