import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock/clock.js';
import { systemClock } from '../clock/system-clock.js';
import { BautaError } from '../protocol/bauta-error.js';
import { defaultTemplates } from '../protocol/template.js';
import { congestionControl } from '../quic/congestion.js';
import type { QuicEngine } from '../quic/engine.js';
import type { EngineThread } from '../quic/engine-thread.js';
import { createNativeEngine, defaultShards, mostShards } from '../quic/native/index.js';
import { createRelay, type Relay } from '../relay/relay.js';
import { createLoopGuard } from '../relay/via.js';
import { spliceAfter } from '../tunnel/data-path.js';
import { accessOf } from '../upstream/hop.js';
import { createHttpDriver } from '../upstream/http-driver.js';
import { resolveHost } from '../upstream/resolve-host.js';
import { type AttachableServer, attachServer, isAttachable } from './attach-server.js';
import { createDnsQuery } from './dns-query.js';
import { createProxyEvents } from './events.js';
import { createHosts } from './hosts-file.js';
import { proxyLimits } from './limits.js';
import { type Listeners, openListeners } from './listeners.js';
import { createNameResolution } from './name-resolution.js';
import type { ProxyOptions, ProxyTls } from './options.js';
import { createOwnAddresses } from './own-addresses.js';
import type { RunningProxy } from './proxy.js';
import { createProxyCore } from './proxy-core.js';
import { createTargetRoute } from './target-route.js';
import { createTargetRules } from './target-rules.js';

/** Names looked up at once, in all and for one user. */
const MAX_LOOKUPS = 8_192;
const MAX_LOOKUPS_OF_USER = 2_048;

const list = <T>(value: T | readonly T[] | undefined): readonly T[] =>
  value === undefined ? [] : Array.isArray(value) ? (value as readonly T[]) : [value as T];

function namesOf(
  options: ProxyOptions,
  timeout: number,
  clock: Clock,
): ReturnType<typeof createNameResolution> {
  let query: ReturnType<typeof createDnsQuery>;
  try {
    query = createDnsQuery(options.nameServers ?? [], timeout);
  } catch (cause) {
    throw new BautaError('ERR_USAGE', { detail: 'a name server is not ADDRESS or ADDRESS:PORT', cause });
  }
  return createNameResolution({
    clock,
    query,
    hosts: createHosts(clock),
    timeout,
    maxPending: MAX_LOOKUPS,
    maxPendingOfOwner: MAX_LOOKUPS_OF_USER,
  });
}

type Where =
  | { readonly server: AttachableServer }
  | { readonly listen: readonly string[]; readonly certificates: readonly ProxyTls[] };

function whereToListen(options: ProxyOptions): Where {
  const { listen, tls, keyLogFile } = options;
  if (isAttachable(listen)) {
    if (tls === undefined && keyLogFile === undefined) return { server: listen };
    throw new BautaError('ERR_USAGE', { detail: 'an attached server has TLS options of its own' });
  }
  const addresses = list(listen);
  if (addresses.length === 0) throw new BautaError('ERR_USAGE', { detail: 'nothing to listen on' });
  if (!tls) throw new BautaError('ERR_USAGE', { detail: 'a certificate and its key are needed to listen' });
  return { listen: addresses, certificates: [tls] };
}

function engineOf({ engine, shards, congestion }: ProxyOptions, attached: boolean): QuicEngine {
  if (engine === undefined) {
    if (shards !== undefined && !(Number.isInteger(shards) && shards >= 1 && shards <= mostShards)) {
      throw new BautaError('ERR_USAGE', { detail: `shards is not a number from 1 to ${mostShards}` });
    }
    return createNativeEngine({
      shards: shards ?? (attached ? 1 : defaultShards()),
      congestion: congestionControl(congestion),
    });
  }
  if (shards === undefined && congestion === undefined) return engine;
  throw new BautaError('ERR_USAGE', { detail: 'an engine that is given has its own shards and congestion' });
}

/**
 * Starts a proxy; resolves once all listeners accept. Rejects with `BautaError`: ERR_USAGE, ERR_LINK, ERR_TEMPLATE,
 * ERR_CERTIFICATE_FILE, ERR_PORT_IN_USE, ERR_PORT_PRIVILEGE, ERR_ADDRESS_UNAVAILABLE or ERR_NATIVE_ENGINE.
 */
export async function createProxy(options: ProxyOptions): Promise<RunningProxy> {
  const clock = systemClock;
  const where = whereToListen(options);
  const own = createOwnAddresses(clock, list(options.publicAddress));
  const routes = {
    udp: createTargetRoute(options.template ?? defaultTemplates.udp),
    tcp: createTargetRoute(options.tcpTemplate ?? defaultTemplates.tcp),
  };
  const loops = createLoopGuard(randomBytes);
  const rules = createTargetRules(options.targets ?? {}, own);
  const limits = proxyLimits(options.limits);
  const names = namesOf(options, limits.nameTimeout, clock);
  const events = createProxyEvents(options.onEvent);
  const { dataPath = 'auto' } = options;
  if (!Object.hasOwn(spliceAfter, dataPath)) {
    throw new BautaError('ERR_USAGE', { detail: 'dataPath is not auto, js or splice' });
  }
  if (options.via !== undefined) accessOf(options.via);
  const engine = engineOf(options, 'server' in where);
  const relays: Relay[] = [];
  /** Hops are reached from where the clients are, so that two QUIC connections can be joined. */
  const relayOn = (thread: Pick<EngineThread, 'connect' | 'tcp'>): Relay => {
    const relay = createRelay({
      clock,
      random: Math.random,
      randomBytes,
      driver: createHttpDriver({ clock, engine: () => thread, resolve: resolveHost }),
      loops,
      event: events.emit,
      ...(options.viaVersions ? { versions: options.viaVersions } : {}),
    });
    relays.push(relay);
    return relay;
  };
  const relayed = options.via !== undefined || options.decide !== undefined;
  const core = createProxyCore({
    clock,
    sockets: engine.udp,
    tcpSockets: engine.tcp,
    dataPath,
    names,
    routes,
    rules,
    authenticate: options.authenticate,
    decide: options.decide,
    via: options.via,
    relay: relayed ? relayOn(engine) : undefined,
    relayOn: relayed ? relayOn : undefined,
    loops,
    limits,
    events,
  });
  const closeEngine = async (): Promise<void> => {
    if (options.engine === undefined) await engine.close();
  };

  let listeners: Listeners;
  try {
    listeners =
      'server' in where
        ? attachServer(where.server, clock, core.accept)
        : await openListeners(
            { engine, clock, ...where, keyLogFile: options.keyLogFile, secret: options.secret },
            core.accept,
          );
  } catch (error) {
    await closeEngine();
    throw error;
  }
  const { addresses, shards } = listeners;
  events.emit({ event: 'listening', addresses, shards });

  let state: 'running' | 'draining' | 'closed' = 'running';
  let resolveClosed: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => {
    resolveClosed = resolve;
  });
  let stopping: Promise<void> | undefined;

  const drain = async (timeout = options.drainTimeout ?? 10_000): Promise<void> => {
    if (state === 'closed') return;
    state = 'draining';
    listeners.stopAccepting();
    await core.drain(timeout);
    stopping ??= (async () => {
      await listeners.close();
      await Promise.all(relays.map((relay) => relay.close()));
      await closeEngine();
      state = 'closed';
      events.emit({ event: 'closed' });
      events.close();
      resolveClosed();
    })();
    await stopping;
  };

  // Without it there is no HTTP/3 and no way to a target: better to end, and be started again.
  void engine.failed?.then((reason) => {
    events.emit({ event: 'failed', reason });
    return drain(0);
  });

  return {
    addresses,
    setCertificates: (...tls) => listeners.setCertificates(tls),
    setTargets: (targets) => core.setRules(createTargetRules(targets, own)),
    setAuthenticate: core.setAuthenticate,
    setVia(hop) {
      if (options.via === undefined)
        throw new BautaError('ERR_USAGE', { detail: 'the proxy has no next hop' });
      accessOf(hop);
      core.setVia(hop);
    },
    info: () => ({
      state,
      connections: core.connections,
      tunnels: {
        open: core.tunnels.open,
        opening: core.tunnels.places - core.tunnels.open - core.tunnels.forwarding,
        opened: core.tunnels.opened,
      },
      requests: { forwarding: core.tunnels.forwarding, forwarded: core.tunnels.forwarded },
      lookups: names.pending,
    }),
    tunnels: () =>
      [...core.tunnels.running()].map((tunnel) => ({ ...tunnel.description, ...tunnel.counters() })),
    events: events.read,
    drain,
    close: () => drain(0),
    closed,
    [Symbol.asyncDispose]: () => drain(0),
  };
}
