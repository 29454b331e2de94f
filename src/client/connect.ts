import type { Clock } from '../clock/clock.js';
import { systemClock, systemRandom } from '../clock/system-clock.js';
import { BautaError } from '../protocol/bauta-error.js';
import { type ConnectTcpRevision, connectTcpRevisionOf, newestConnectTcp } from '../protocol/connect-tcp.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import { type CongestionControl, congestionControl } from '../quic/congestion.js';
import type { QuicEngine } from '../quic/engine.js';
import { createNativeEngine, type NativeEngineOptions } from '../quic/native/index.js';
import { createHttpDriver } from '../upstream/http-driver.js';
import { groundOnHop } from './chain-ground.js';
import type { Client } from './client.js';
import { type ClientCore, type ClientParts, type Ground, startClient } from './client-core.js';
import { createEventFeed } from './event-feed.js';
import { accessOf, type Hop } from './hop.js';
import { systemNetwork, watchNetwork } from './network-watch.js';
import { resolveHost } from './resolve-host.js';
import type { TcpChoice } from './tcp-opening.js';
import { createTunnelledDriver } from './tunnelled-driver.js';

export interface ConnectOptions {
  /**
   * What is tried; default all, HTTP/3 first, HTTP/2 250 ms later, HTTP/1.1 500 ms after that. In a chain this is
   * for each hop: behind the first, HTTP/3 goes through a UDP tunnel of the hop before, the others through TCP
   * tunnels.
   */
  readonly versions?: readonly HttpVersion[];
  /**
   * How TCP tunnels are asked for: by `connect-tcp` (draft-ietf-httpbis-connect-tcp), by classic `connect`
   * (RFC 9110 section 9.3.6), or `auto`, the default: connect-tcp, and CONNECT where the proxy does not know it.
   */
  readonly tcp?: TcpChoice;
  /** The upgrade token of the connect-tcp draft to use; default the newest, `connect-tcp-12`. */
  readonly connectTcp?: 'connect-tcp-12' | 'connect-tcp-07';
  /** Connections to each proxy at once; default 256. HTTP/1.1 needs one for each tunnel. */
  readonly maxConnections?: number;
  /** Milliseconds until a connection must be up, for each hop; default 10,000. */
  readonly timeout?: number;
  /**
   * How the rate of HTTP/3 connections is found, for what this side sends; default `cubic`. `bbr` is many times
   * faster on paths that lose packets, and claims more than its part where it meets others.
   */
  readonly congestion?: CongestionControl;
  /** Ends connecting; it has no say over a client that is up. */
  readonly signal?: AbortSignal;
}

const TIMEOUT = 10_000;
const MAX_CONNECTIONS = 256;

function checked(name: string, value: number, least: number): number {
  if (Number.isInteger(value) && value >= least && value <= 2_147_483_647) return value;
  throw new BautaError('ERR_USAGE', { detail: `${name} is ${value}` });
}

function tcpChoice(choice: TcpChoice): TcpChoice {
  if (['auto', 'connect', 'connect-tcp'].includes(choice)) return choice;
  throw new BautaError('ERR_USAGE', { detail: `tcp is ${choice}` });
}

function revisionOf(token: string): ConnectTcpRevision {
  const revision = connectTcpRevisionOf(token);
  // The final token has no capsules yet.
  if (revision?.capsules) return revision;
  throw new BautaError('ERR_USAGE', { detail: `connectTcp is ${token}` });
}

/** One engine for a client, made when it is first wanted. */
function lazyEngine(options: NativeEngineOptions): {
  readonly get: () => QuicEngine;
  readonly ground: Ground;
} {
  let engine: QuicEngine | undefined;
  const get = (): QuicEngine => {
    engine ??= createNativeEngine(options);
    return engine;
  };
  return {
    get,
    ground: {
      sockets: () => get().udp,
      tcp: () => get().tcp,
      hold: (held) => engine?.holdProcess?.(held),
      close: async () => engine?.close(),
    },
  };
}

function isChain(proxy: Hop | readonly Hop[]): proxy is readonly Hop[] {
  return Array.isArray(proxy);
}

/** As `connect`, giving the client with the parts that the commands use. */
export async function connectCore(
  proxy: Hop | readonly Hop[],
  options: ConnectOptions = {},
  clock: Clock = systemClock,
): Promise<ClientCore> {
  const hops = (isChain(proxy) ? proxy : [proxy]).map(accessOf);
  const [nearest, ...behind] = hops;
  if (!nearest) throw new BautaError('ERR_USAGE', { detail: 'the chain is empty' });
  const versions = options.versions ?? ['h3', 'h2', 'h1'];
  if (versions.length === 0) throw new BautaError('ERR_USAGE', { detail: 'versions is empty' });
  const handshakeTimeout = checked('timeout', options.timeout ?? TIMEOUT, 1);
  const engine = lazyEngine({ congestion: congestionControl(options.congestion) });
  const signal = options.signal ?? new AbortController().signal;
  const shared: Omit<
    ClientParts,
    'access' | 'before' | 'hopsBefore' | 'hop' | 'versions' | 'driver' | 'ground'
  > = {
    maxConnections: checked('maxConnections', options.maxConnections ?? MAX_CONNECTIONS, 1),
    tcp: tcpChoice(options.tcp ?? 'auto'),
    connectTcp: revisionOf(options.connectTcp ?? newestConnectTcp.token),
    timeout: handshakeTimeout,
    feed: createEventFeed(),
    clock,
    random: Math.random,
    randomBytes: systemRandom,
  };
  const cores: ClientCore[] = [];
  const network = watchNetwork(clock, systemNetwork, () => cores[0]?.networkChanged());
  const ground: Ground = {
    ...engine.ground,
    async close() {
      network.stop();
      await engine.ground.close();
    },
  };
  let core = await startClient(
    {
      ...shared,
      access: nearest,
      before: [],
      hopsBefore: () => [],
      hop: behind.length > 0 ? 0 : undefined,
      versions,
      driver: createHttpDriver({ clock, engine: engine.get, resolve: resolveHost, handshakeTimeout }),
      connected: () => cores[1]?.retryNow(),
      ground,
    },
    signal,
  );
  cores.push(core);
  for (const [index, access] of behind.entries()) {
    const outer = core;
    core = await startClient(
      {
        ...shared,
        access,
        before: hops.slice(0, index + 1),
        hopsBefore: () => outer.info().hops,
        hop: index + 1,
        versions,
        driver: createTunnelledDriver({
          clock,
          engine: engine.get,
          openUdp: outer.openRawUdp,
          openTcp: outer.openTcp,
          handshakeTimeout,
          through: hops[index]?.authority ?? '',
          tunnels: index + 1,
        }),
        connected: () => cores[index + 2]?.retryNow(),
        ground: groundOnHop(outer),
      },
      signal,
    );
    cores.push(core);
  }
  return core;
}

/**
 * Connects to a proxy, or to the last of a chain of proxies, nearest first: each is reached through tunnels of
 * the one before it, UDP for HTTP/3 and TCP for the others, so that none but the last sees the targets. Once it was up, the connection
 * is opened again whenever it is lost (after 0.5 to 30 s); tunnels on it end as `lost`. Rejects with one
 * `BautaError` that gives each version's reason, and in a chain the index of the `hop`: identity
 * (`ERR_CERTIFICATE_UNKNOWN`, `ERR_PIN_MISMATCH` and others), `ERR_PROXY_UNREACHABLE`, `ERR_PROXY_TIMEOUT`,
 * `ERR_PROXY_NAME`, `ERR_UDP_BLOCKED`, `ERR_VERSION_UNSUPPORTED`, `ERR_LINK`, `ERR_ABORTED`.
 */
export function connect(
  proxy: Hop | readonly [Hop, ...Hop[]],
  options: ConnectOptions = {},
): Promise<Client> {
  return connectCore(proxy, options);
}
