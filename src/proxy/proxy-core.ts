import type { Clock, Timer } from '../clock/clock.js';
import type { ConnectionClose, HttpAccept, HttpServerConnection } from '../http/connection.js';
import type { EngineThread } from '../quic/engine-thread.js';
import type { TcpSockets } from '../quic/tcp-socket.js';
import type { UdpSockets } from '../quic/udp-socket.js';
import type { Relay } from '../relay/relay.js';
import type { LoopGuard } from '../relay/via.js';
import { Line, type Place } from '../tables/line.js';
import type { DataPath } from '../tunnel/data-path.js';
import { createEarlyRoom } from '../tunnel/udp/early-payloads.js';
import type { Hop } from '../upstream/hop.js';
import type { Authenticate } from './authenticate.js';
import { createConnectionLogin } from './connection-login.js';
import type { Decide } from './decision.js';
import type { ProxyEvents } from './events.js';
import { addressKey, createUsage, type ProxyLimits } from './limits.js';
import type { NameResolution } from './name-resolution.js';
import { openWay } from './open-way.js';
import { createOriginAgents, type OriginAgents } from './origin-agents.js';
import { type Guest, type ProxyParts, type Routes, serveRequest } from './serve-request.js';
import type { TargetRules } from './target-rules.js';
import { tcpWays } from './tcp-ways.js';
import { createTunnelRegistry, type TunnelRegistry } from './tunnel-registry.js';
import { withinTime } from './within-time.js';

export interface ProxyCoreOptions {
  readonly clock: Clock;
  readonly sockets: UdpSockets;
  readonly tcpSockets: TcpSockets;
  readonly dataPath?: DataPath | undefined;
  readonly names: NameResolution;
  readonly routes: Routes;
  readonly rules: TargetRules;
  readonly authenticate: Authenticate | 'anyone';
  readonly decide: Decide | undefined;
  readonly via?: Hop | undefined;
  readonly relay?: Relay | undefined;
  /** The same for connections of one thread of several. */
  readonly relayOn?: ((thread: EngineThread) => Relay) | undefined;
  readonly loops: LoopGuard;
  readonly limits: ProxyLimits;
  readonly events: ProxyEvents;
}

/** A proxy without its listeners: whatever accepts connections hands them to `accept`. */
export interface ProxyCore {
  readonly accept: HttpAccept;
  readonly tunnels: TunnelRegistry;
  readonly connections: number;
  setRules(rules: TargetRules): void;
  setAuthenticate(authenticate: Authenticate): void;
  /** Only where there is a relay. */
  setVia(hop: Hop): void;
  /**
   * GOAWAY to everybody; new requests are refused. Tunnels that still run after `timeout` milliseconds are
   * ended, then the connections are closed. Resolves when all are gone. A later call may shorten the time.
   */
  drain(timeout: number): Promise<void>;
}

/** Checks of a credential take no longer than this, milliseconds. */
const LOGIN_TIMEOUT = 8_000;
/** A connection that showed so many wrong credentials is closed. */
const MAX_FAILURES = 10;
/** Bytes of payloads that one connection's tunnels may have waiting for their sockets. */
const EARLY_ROOM = 1024 * 1024;
/** Connections are looked at this often; one that has carried nothing between two looks is drained. */
const IDLE_LOOK = 120_000;
/** Time for ends to arrive before a connection is closed under them, milliseconds. */
const END_GRACE = 250;
/** So much more than all connections may be there while strangers who made room are still on their way out. */
const LEAVING = 1.25;

export function createProxyCore(options: ProxyCoreOptions): ProxyCore {
  const { clock, events, limits } = options;
  const guests = new Line<Guest>();
  /** Guests without valid credentials, in the order in which they came. */
  const strangers = new Line<Guest>();
  const perAddress = createUsage();
  const tunnels = createTunnelRegistry(() => limits);
  let rules = options.rules;
  let authenticate = options.authenticate;
  let generation = 0;
  let draining = false;
  let lastGuest = 0;
  const emptied = new Set<() => void>();

  let { via } = options;
  const parts: ProxyParts = {
    clock,
    sockets: options.sockets,
    tcpSockets: options.tcpSockets,
    dataPath: options.dataPath ?? 'auto',
    names: options.names,
    routes: options.routes,
    rules: () => rules,
    decide: options.decide,
    get via() {
      return via;
    },
    relay: options.relay,
    loops: options.loops,
    limits: () => limits,
    tunnels,
    events,
    draining: () => draining,
  };

  const partsByThread = new Map<EngineThread, ProxyParts>();
  /** The parts for one connection: the far sides of its tunnels are on its thread. */
  const partsOf = ({ thread }: HttpServerConnection): ProxyParts => {
    if (!thread) return parts;
    let own = partsByThread.get(thread);
    if (!own) {
      const relay = options.relayOn?.(thread);
      own = {
        ...parts,
        relay,
        sockets: thread.udp,
        tcpSockets: thread.tcp,
        get via() {
          return via;
        },
      };
      partsByThread.set(thread, own);
    }
    return own;
  };

  const originsOf = (connection: HttpServerConnection): OriginAgents => {
    const received = connection.version;
    const parts = partsOf(connection);
    const ways = tcpWays(parts, { kind: 'connect' });
    return createOriginAgents(clock, (admitted, handler, signal) =>
      withinTime(
        (limit) => openWay(parts, ways, admitted, received, handler, { signal: limit }),
        ({ far }) => ways.discard(far),
        signal,
        clock,
        limits.openTimeout,
      ),
    );
  };

  const overLimit = (address: string): string | undefined => {
    if (perAddress.count(addressKey(address)) >= limits.connectionsPerAddress) return 'from this address';
    return guests.size < limits.connections || makeRoom() ? undefined : 'in all';
  };
  /** The stranger who came first goes, so that strangers alone never keep users out. */
  const makeRoom = (): boolean => {
    const { first } = strangers;
    if (!first || guests.size >= limits.connections * LEAVING) return false;
    strangers.leaveFirst();
    first.connection.close('excessive-load');
    return true;
  };

  const welcome = (connection: HttpServerConnection): { guest: Guest; leave: () => void } => {
    const { address } = connection.remoteAddress;
    let stranger: Place<Guest> | undefined;
    const known = (): void => {
      if (stranger) strangers.leave(stranger);
    };
    const guest: Guest = {
      id: ++lastGuest,
      requests: 0,
      earlyRoom: createEarlyRoom(EARLY_ROOM),
      connection,
      origins: originsOf(connection),
      login: createConnectionLogin({
        clock,
        authenticate: () => authenticate,
        from: addressKey(address),
        timeout: LOGIN_TIMEOUT,
        generation: () => generation,
        becameKnown: known,
      }),
    };
    const place = guests.join(guest);
    if (!guest.login.known) stranger = strangers.join(guest);
    perAddress.add(addressKey(address));
    const strangerTimer = clock.setTimeout(() => {
      if (!guest.login.known) connection.close('unauthenticated');
    }, limits.strangerTimeout);
    strangerTimer.unref();
    let idleTimer = clock.setTimeout(look, IDLE_LOOK);
    let idle = false;
    let seen = 0;
    function look(): void {
      // The listener's PINGs keep a connection with quiet tunnels alive; one without any has to end here.
      const unused = connection.streams === 0 && guest.requests === seen;
      if (unused && idle) connection.drain();
      idle = unused;
      seen = guest.requests;
      idleTimer = clock.setTimeout(look, IDLE_LOOK);
      idleTimer.unref();
    }
    idleTimer.unref();
    return {
      guest,
      leave() {
        if (!guests.leave(place)) return;
        known();
        perAddress.remove(addressKey(address));
        clock.clearTimeout(strangerTimer);
        clock.clearTimeout(idleTimer);
        guest.login.close();
        guest.origins.close();
        if (guests.size === 0) for (const told of emptied) told();
      },
    };
  };

  const accept: HttpAccept = (connection) => {
    const client = connection.remoteAddress;
    const limit = draining ? 'draining' : overLimit(client.address);
    if (limit !== undefined) {
      events.emit({ event: 'connection-refused', client, limit });
      // Its handler has to be attached first.
      queueMicrotask(() => connection.close(draining ? 'shutdown' : 'excessive-load'));
    }
    const { guest, leave } = welcome(connection);
    if (limit === undefined) {
      events.emit({ event: 'connection-opened', connection: guest.id, version: connection.version, client });
    }
    return {
      request(stream) {
        if (guest.login.failures >= MAX_FAILURES && !guest.login.known) connection.close('unauthenticated');
        guest.requests++;
        return serveRequest(partsOf(connection), guest, stream);
      },
      closed(close: ConnectionClose) {
        leave();
        if (limit !== undefined) return;
        const { reason, detail } = close;
        events.emit({ event: 'connection-closed', connection: guest.id, reason, detail });
      },
    };
  };

  const allGone = (): Promise<void> =>
    guests.size === 0
      ? Promise.resolve()
      : new Promise((resolve) => {
          const told = (): void => {
            emptied.delete(told);
            resolve();
          };
          emptied.add(told);
        });

  let grace: Timer | undefined;
  const endTunnels = (): void => {
    const running = [...tunnels.running()];
    for (const tunnel of running) tunnel.end();
    grace = clock.setTimeout(
      () => {
        for (const { connection } of guests) connection.close('shutdown');
      },
      running.length === 0 ? 0 : END_GRACE,
    );
  };

  return {
    accept,
    tunnels,
    get connections() {
      return guests.size;
    },
    setRules(next) {
      rules = next;
    },
    setAuthenticate(next) {
      authenticate = next;
      generation++;
    },
    setVia(next) {
      via = next;
    },
    async drain(timeout) {
      if (!draining) {
        draining = true;
        events.emit({ event: 'draining', timeout });
        for (const { connection } of guests) connection.drain();
      }
      const deadline = clock.setTimeout(endTunnels, timeout);
      await allGone();
      clock.clearTimeout(deadline);
      clock.clearTimeout(grace);
    },
  };
}
