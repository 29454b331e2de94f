import { setMaxListeners } from 'node:events';
import type { Clock, RandomBytes } from '../clock/clock.js';
import type { BautaError } from '../protocol/bauta-error.js';
import type { ConnectTcpRevision } from '../protocol/connect-tcp.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import type { TcpSockets } from '../quic/tcp-socket.js';
import type { UdpSockets } from '../quic/udp-socket.js';
import type { Owner } from '../upstream/owner.js';
import type { TransportDriver } from '../upstream/transport.js';
import type { Client } from './client.js';
import type { ClientEvent, ClientInfo, CloseReason, HopInfo } from './client-events.js';
import type { EventFeed } from './event-feed.js';
import { atHop } from './hop-error.js';
import { createHttpAgents } from './http-agents.js';
import { createOpenTunnels } from './open-tunnels.js';
import type { ProxyAccess } from './proxy-access.js';
import { type ConnectionsEvent, createProxyConnections } from './proxy-connections.js';
import { createTcpOpening, type TcpChoice } from './tcp-opening.js';
import { createTcpTunnels, type TcpTunnels } from './tcp-tunnels.js';
import { startTimeLimit } from './time-limit.js';
import { createTunnelAsker } from './tunnel-asker.js';
import { createUdpTunnels, type UdpTunnels } from './udp-tunnels.js';
import { createUndiciConnector } from './undici-connector.js';
import type { VersionAttempt } from './version-attempts.js';

/** What a client stands on: the engine, or the client of the hop before it. */
export interface Ground {
  sockets(): UdpSockets;
  tcp(): TcpSockets;
  /** Whether what is open here keeps the process running. */
  hold(held: boolean): void;
  close(): Promise<void>;
}

export interface ClientParts {
  readonly access: ProxyAccess;
  /** The hops before this one, nearest first. */
  readonly before: readonly ProxyAccess[];
  readonly hopsBefore: () => readonly HopInfo[];
  /** Its index in a chain; undefined where there is no chain. */
  readonly hop: number | undefined;
  readonly versions: readonly HttpVersion[];
  readonly maxConnections: number;
  readonly tcp: TcpChoice;
  readonly connectTcp: ConnectTcpRevision;
  /** Milliseconds until a connection must be up. */
  readonly timeout: number;
  readonly driver: TransportDriver;
  /** A connection came up. */
  readonly connected?: () => void;
  /** Owned: closed with the client. */
  readonly ground: Ground;
  /** Shared by the clients of a chain; ends with the last. */
  readonly feed: EventFeed<ClientEvent>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly randomBytes: RandomBytes;
}

/** A client with what the local front-ends and the next hop of a chain build on. */
export interface ClientCore extends Client, Pick<UdpTunnels, 'openRawUdp'>, Pick<TcpTunnels, 'openRawTcp'> {
  readonly sockets: () => UdpSockets;
  readonly tcp: () => TcpSockets;
  /** Whether the raw tunnels keep the process running. */
  holdTunnels(held: boolean): void;
  /** See `ProxyConnections`. */
  networkChanged(): void;
  retryNow(): void;
  hopInfo(): HopInfo;
  /** Closed by the client that stands on it, which tells. */
  closeQuietly(): Promise<void>;
}

/** Whether connections without extended CONNECT are of use. */
const classicConnect = { auto: 'also', connect: 'only', 'connect-tcp': 'no' } as const;

/** Connects and resolves once a connection is up; rejects with the reasons of all versions. */
export async function startClient(parts: ClientParts, signal: AbortSignal): Promise<ClientCore> {
  const { access, clock, feed } = parts;
  const closing = new AbortController();
  // Each tunnel that is being opened listens to it.
  setMaxListeners(0, closing.signal);
  let holds = true;
  const hold = (held: boolean): void => {
    holds = held;
    parts.ground.hold(held);
    for (const owner of connections.owners) owner.connection.holdProcess?.(held);
  };
  const tunnels = createOpenTunnels(clock, closing.signal, hold);
  let attempts: readonly VersionAttempt[] = [];
  let lastError: BautaError | undefined;
  let newest: Owner | undefined;
  let done: (reason: CloseReason) => void = () => undefined;
  const closed = new Promise<CloseReason>((resolve) => {
    done = resolve;
  });
  const hopOf = parts.hop === undefined ? {} : { hop: parts.hop };
  const emit = (event: ClientEvent): void => feed.emit({ ...event, ...hopOf });

  const happened = (event: ConnectionsEvent): void => {
    switch (event.type) {
      case 'up': {
        const { owner } = event;
        newest = owner;
        lastError = undefined;
        owner.connection.holdProcess?.(holds);
        emit({ type: 'connected', version: owner.version, remoteAddress: owner.connection.remoteAddress });
        parts.connected?.();
        break;
      }
      case 'down':
        emit({ type: 'disconnected', version: event.owner.version, detail: event.detail });
        break;
      case 'chosen':
        attempts = event.attempts;
        emit(event);
        break;
      case 'retry':
        lastError = atHop(event.error, parts.hop);
        opening.forget();
        emit({ ...event, error: lastError });
        break;
      case 'attempt-failed':
        emit({ ...event, error: atHop(event.error, parts.hop) });
        break;
      case 'attempt':
        emit(event);
        break;
    }
  };
  const { trust, certificate } = access;
  const connections = createProxyConnections({
    driver: parts.driver,
    origin: {
      host: access.host,
      port: access.port,
      tls: { trust, ...(certificate ? { certificate } : {}) },
      proxyPath: parts.before.map(({ authority }) => authority),
    },
    versions: parts.versions,
    maxConnections: parts.maxConnections,
    classicConnect: classicConnect[parts.tcp],
    timeout: parts.timeout,
    clock,
    random: parts.random,
    randomBytes: parts.randomBytes,
    event: happened,
  });

  const within = createTunnelAsker({ access, connections, clock, closing: closing.signal, hop: parts.hop });
  const opening = createTcpOpening({
    access,
    within,
    choice: parts.tcp,
    revision: parts.connectTcp,
    settled: (form, why) => emit({ type: 'tcp', form, ...(why ? { why: atHop(why, parts.hop) } : {}) }),
  });
  const udp = createUdpTunnels({ access, within, tunnels });
  const tcp = createTcpTunnels({ opening, tunnels, clock, closing: closing.signal });
  const agents = createHttpAgents(tcp);

  const end = async (drain: number): Promise<CloseReason> => {
    closing.abort();
    agents.endIdle();
    const drained = await tunnels.finish(drain);
    await connections.close();
    await parts.ground.close();
    return { drained };
  };
  const close = async ({ drain = 0 }: { readonly drain?: number } = {}): Promise<void> => {
    if (closing.signal.aborted) {
      await closed;
      return;
    }
    const reason = await end(drain);
    feed.emit({ type: 'closed' });
    feed.end();
    done(reason);
  };
  const closeQuietly = async (): Promise<void> => {
    if (closing.signal.aborted) await closed;
    else done(await end(0));
  };

  let first: Owner;
  const starting = startTimeLimit(clock, parts.timeout + 2_000, signal, closing.signal);
  try {
    first = await connections.start(starting.signal);
  } catch (error) {
    await connections.close();
    await parts.ground.close();
    throw atHop(starting.explain(error), parts.hop);
  } finally {
    starting[Symbol.dispose]();
  }

  const hopInfo = (): HopInfo => {
    const shown = newest ?? first;
    return {
      state: closing.signal.aborted ? 'closed' : connections.retrying ? 'reconnecting' : 'connected',
      version: shown.version,
      remoteAddress: shown.connection.remoteAddress,
      nativeDatagrams: shown.settings.datagrams,
      connections: connections.owners.size,
      tunnels: tunnels.size,
      tcp: opening.form,
      attempts,
      udpBlocked: attempts.some(
        (attempt) => attempt.outcome === 'failed' && attempt.error.code === 'ERR_UDP_BLOCKED',
      ),
      lastError,
    };
  };
  return {
    ...udp,
    openTcp: tcp.openTcp,
    openRawTcp: tcp.openRawTcp,
    httpAgent: agents.http,
    httpsAgent: agents.https,
    connector: (options) => createUndiciConnector(tcp, options),
    sockets: parts.ground.sockets,
    tcp: parts.ground.tcp,
    holdTunnels: tunnels.holdRaw,
    networkChanged: connections.networkChanged,
    retryNow: connections.retryNow,
    events: () => feed.subscribe(),
    hopInfo,
    info: (): ClientInfo => ({ ...hopInfo(), hops: [...parts.hopsBefore(), hopInfo()] }),
    closed,
    close,
    closeQuietly,
    [Symbol.asyncDispose]: () => close(),
  };
}
