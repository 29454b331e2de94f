import type { Clock, RandomBytes } from '../clock/clock.js';
import type { RequestHead } from '../http/request.js';
import { BautaError } from '../protocol/bauta-error.js';
import { capsuleProtocolField } from '../protocol/capsule-protocol.js';
import type { Fields } from '../protocol/fields.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import { formatHostPort } from '../protocol/target.js';
import type { SocketAddress } from '../quic/address.js';
import type { ByteSide, ByteSideHandler } from '../tunnel/tcp/byte-side.js';
import type { TcpForm } from '../tunnel/tcp/tcp-form.js';
import type { UdpFarHandler, UdpFarSide } from '../tunnel/udp/far-side.js';
import { bautaErrorOf } from '../upstream/bauta-error-of.js';
import type { Hop } from '../upstream/hop.js';
import { createPool } from '../upstream/pool.js';
import type { PoolEvent, PoolLimits } from '../upstream/pool-settings.js';
import type { KeyStats } from '../upstream/pool-stats.js';
import { createRacer } from '../upstream/racer.js';
import type { UpstreamOrigin } from '../upstream/target.js';
import type { TransportDriver } from '../upstream/transport.js';
import type { TunnelNeeds } from '../upstream/tunnel-needs.js';
import type { HopParts } from './ask-hop.js';
import { createDoubts } from './doubts.js';
import type { HopAnswer } from './hop-answer.js';
import { createNextHops, type NextHop } from './next-hop.js';
import { createRestartGrace } from './restart-grace.js';
import { openTcpViaHop } from './tcp-via-hop.js';
import { openUdpViaHop } from './udp-via-hop.js';
import type { LoopGuard } from './via.js';

/** What a relay tells of its connections to next hops; `hop` is `HOST:PORT`. */
export type RelayEvent =
  | {
      readonly event: 'hop-connected';
      readonly hop: string;
      readonly version: HttpVersion;
      readonly address: SocketAddress;
    }
  | {
      readonly event: 'hop-closed';
      readonly hop: string;
      readonly version: HttpVersion;
      readonly detail: string;
    }
  | {
      readonly event: 'hop-failed';
      readonly hop: string;
      readonly version: HttpVersion;
      readonly code: string;
      readonly detail: string;
    };

export interface RelayOptions {
  readonly clock: Clock;
  /** Numbers from 0 up to 1. */
  readonly random: () => number;
  readonly randomBytes: RandomBytes;
  readonly driver: TransportDriver;
  /** Marks what is sent on, so that it is known again when it comes back. */
  readonly loops: LoopGuard;
  readonly event?: (event: RelayEvent) => void;
  readonly limits?: PoolLimits;
  /** HTTP versions tried with next hops; default all. */
  readonly versions?: readonly HttpVersion[];
}

/** What a client asked for and is now asked of the next hop. */
export interface RelayRequest {
  readonly target: { readonly host: string; readonly port: number };
  /** Proxies that it came through, as `LoopGuard.came` gave them. */
  readonly via: readonly string[];
  /** The version in which it came. */
  readonly received: HttpVersion;
}

/** Carries tunnels to next hops, over connections that they share. */
export interface Relay {
  /** Throws `BautaError` for a hop that cannot be meant. */
  nextHop(hop: Hop): NextHop;
  /** Never rejects. */
  openUdp(
    hop: NextHop,
    request: RelayRequest,
    handler: UdpFarHandler,
    signal: AbortSignal,
  ): Promise<HopAnswer<UdpFarSide>>;
  /**
   * Asks in the given form; a hop that knows no connect-tcp is asked by classic CONNECT then. Never rejects.
   */
  openTcp(
    hop: NextHop,
    form: TcpForm,
    request: RelayRequest,
    handler: ByteSideHandler,
    signal: AbortSignal,
  ): Promise<HopAnswer<ByteSide>>;
  stats(): KeyStats[];
  /** Ends all connections. */
  close(): Promise<void>;
}

/** A hop that was away is found again within a second; so many dials do no harm to one that is. */
const BACKOFF = { first: 250, longest: 1_000 };

/** Statuses by which a hop says that it has no such template or no such protocol, before it looks at the target. */
const NOT_OFFERED: readonly number[] = [404, 405, 501];

/** Version and `HOST:PORT` out of a pool's key. */
function placeOf(key: string): { readonly hop: string; readonly version: HttpVersion } {
  const match = /^(h[123]):\/\/([^#]*)/.exec(key);
  return { hop: match?.[2] ?? key, version: match?.[1] as HttpVersion };
}

function relayEvent(event: PoolEvent): RelayEvent | undefined {
  const place = placeOf(event.key);
  switch (event.type) {
    case 'up':
      return { event: 'hop-connected', ...place, address: event.owner.connection.remoteAddress };
    case 'down': {
      const { failure } = event;
      const detail = 'detail' in failure && failure.detail ? failure.detail : failure.kind;
      return { event: 'hop-closed', ...place, detail };
    }
    case 'dial-failed': {
      const { code, message } = bautaErrorOf(event.error);
      return { event: 'hop-failed', ...place, code, detail: message };
    }
    case 'dial':
    case 'draining':
    case 'fault':
      return undefined;
  }
}

export function createRelay(options: RelayOptions): Relay {
  const { clock } = options;
  const hops = createNextHops();
  const pool = createPool({
    backoff: BACKOFF,
    ...options.limits,
    clock,
    driver: options.driver,
    random: options.random,
    randomBytes: options.randomBytes,
    events(event) {
      const told = relayEvent(event);
      if (told) options.event?.(told);
    },
  });
  const racer = createRacer({ pool, clock });
  const doubts = createDoubts(clock);
  const grace = createRestartGrace(clock);
  const versions = options.versions ? { versions: options.versions } : {};

  const partsFor = (origin: UpstreamOrigin, needs: TunnelNeeds): HopParts => ({
    clock,
    doubts,
    async open(head, session, until) {
      const { race } = await racer.openStream(origin, needs, head, session, { ...versions, signal: until });
      return race.checkout.owner;
    },
  });

  /**
   * The client's own fields stay here: its credentials above all, and nothing that was not agreed on with it.
   * What is sent instead are this hop's credentials, and where the request has been.
   */
  const ask = async <Far>(
    hop: NextHop,
    request: RelayRequest,
    put: (fields: Fields) => Promise<HopAnswer<Far>>,
    signal: AbortSignal,
  ): Promise<HopAnswer<Far>> => {
    let credentials: Fields;
    try {
      credentials = await hop.access.credentials();
    } catch (error) {
      return { kind: 'failed', error: bautaErrorOf(error) };
    }
    if (signal.aborted) return { kind: 'failed', error: new BautaError('ERR_ABORTED') };
    const fields: Fields = [options.loops.field(request.via, request.received), ...credentials];
    return grace.ask(hop, () => put(fields), signal);
  };

  return {
    nextHop: hops.of,
    openUdp(hop, request, handler, signal) {
      const { access, origin } = hop;
      const parts = partsFor(origin, { extendedConnect: true, datagrams: false });
      const put = (fields: Fields): Promise<HopAnswer<UdpFarSide>> => {
        const path = access.udpPath(request.target);
        return openUdpViaHop(parts, template('connect-udp', access.authority, path, fields), handler, signal);
      };
      return ask(hop, request, put, signal);
    },
    async openTcp(hop, form, request, handler, signal) {
      const { access, origin } = hop;
      const put =
        (asked: TcpForm) =>
        (fields: Fields): Promise<HopAnswer<ByteSide>> => {
          const extended = asked.kind === 'connect-tcp';
          const parts = partsFor(origin, { extendedConnect: extended, datagrams: false });
          const head = extended
            ? template(asked.revision.token, access.authority, access.tcpPath(request.target), fields)
            : classicConnect(request.target, fields);
          return openTcpViaHop(parts, head, asked, handler, signal);
        };
      const answer = await ask(hop, request, put(form), signal);
      if (form.kind === 'connect' || !notOffered(answer)) return answer;
      return ask(hop, request, put({ kind: 'connect' }), signal);
    },
    stats: pool.stats,
    close: pool.closeAll,
  };
}

function notOffered(answer: HopAnswer<unknown>): boolean {
  if (answer.kind === 'failed') return answer.error.code === 'ERR_VERSION_UNSUPPORTED';
  return answer.kind === 'refused' && NOT_OFFERED.includes(answer.head.status);
}

function template(protocol: string, authority: string, path: string, fields: Fields): RequestHead {
  const all = [capsuleProtocolField, ...fields];
  return { kind: 'extended', protocol, scheme: 'https', authority, path, fields: all };
}

/** RFC 9110 section 11.7.2: a proxy in the older sense reads `Proxy-Authorization`. */
function classicConnect({ host, port }: RelayRequest['target'], fields: Fields): RequestHead {
  const renamed = fields.map(([name, value]) =>
    name === 'authorization' ? (['proxy-authorization', value] as const) : ([name, value] as const),
  );
  return { kind: 'connect', authority: formatHostPort(host, port), fields: renamed };
}
