import { createVirtualClock, type VirtualClock } from '../../src/clock/virtual-clock.js';
import { createFakePair, type FakePair, type FakePairOptions } from '../../src/http/fake/pair.js';
import type { RequestHead } from '../../src/http/request.js';
import type { ServerStream } from '../../src/http/tunnel-stream.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { Fields } from '../../src/protocol/fields.js';
import { defaultTemplates } from '../../src/protocol/template.js';
import type { Decide } from '../../src/proxy/decision.js';
import { createProxyEvents, type ProxyEvent } from '../../src/proxy/events.js';
import { defaultLimits, type ProxyLimits } from '../../src/proxy/limits.js';
import { createNameResolution } from '../../src/proxy/name-resolution.js';
import { createOwnAddresses } from '../../src/proxy/own-addresses.js';
import { createProxyCore, type ProxyCore } from '../../src/proxy/proxy-core.js';
import { createTargetRoute } from '../../src/proxy/target-route.js';
import { createTargetRules, type TargetLists } from '../../src/proxy/target-rules.js';
import { createRelay, type Relay } from '../../src/relay/relay.js';
import { createLoopGuard } from '../../src/relay/via.js';
import { type OpenUdpTunnel, openUdpTunnel } from '../../src/tunnel/udp/open-udp.js';
import type { UdpTunnelStatistics } from '../../src/tunnel/udp/tunnel-statistics.js';
import { createHttpTransport } from '../../src/upstream/http-transport.js';
import type { TransportDriver } from '../../src/upstream/transport.js';
import { noTcp } from '../proxy/no-tcp.js';
import { createScriptedSockets, type ScriptedSockets } from '../tunnel/udp/scripted-sockets.js';

/** One proxy of a chain. */
export interface HopSpec {
  /** The version in which it is reached; default `h3`. */
  readonly version?: 'h3' | 'h2';
  readonly targets?: TargetLists;
  /** Where it forwards to: the index of a hop; default the one after it, and the last one goes direct. */
  readonly next?: number;
  readonly decide?: Decide;
  readonly limits?: Partial<ProxyLimits>;
  /** Of the path to it. */
  readonly conditions?: FakePairOptions['conditions'];
  /** The link by which the one before it comes; default with its own password. */
  readonly link?: string;
}

export interface FakeHop {
  readonly core: ProxyCore;
  readonly relay: Relay;
  readonly sockets: ScriptedSockets;
  readonly events: ProxyEvent[];
  /** Names that it looked up. */
  readonly queries: string[];
  /** What it was asked. */
  readonly requests: RequestHead[];
  /** The streams on which they came. */
  readonly streams: ServerStream[];
  /** Connections to it. */
  readonly pairs: FakePair[];
  /** Dials to it fail, or never end. */
  reach: 'up' | 'down' | 'silent';
}

export interface AskedTunnel extends OpenUdpTunnel {
  readonly payloads: Buffer[];
  sendText(text: string): string;
}

/** Proxies in memory that forward to one another on one virtual clock; name servers know `name.test`. */
export interface FakeChain {
  readonly clock: VirtualClock;
  readonly hops: readonly FakeHop[];
  hop(index: number): FakeHop;
  /** A client's connection to the first hop. */
  connect(options?: Partial<FakePairOptions>): FakePair;
  /** Asks for a tunnel to `HOST/PORT` with the first hop's password. */
  ask(pair: FakePair, target: string, fields?: Fields): AskedTunnel;
  /** Lets this much time pass; default 200 ms. */
  pass(milliseconds?: number): Promise<void>;
}

const passwordOf = (index: number): string => `secret-${index}`;
const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

export function createFakeChain(...specs: readonly HopSpec[]): FakeChain {
  const clock = createVirtualClock();
  const hops: FakeHop[] = [];
  let ids = 0;
  const hop = (index: number): FakeHop => {
    const found = hops[index];
    if (!found) throw new Error(`no hop ${index}`);
    return found;
  };

  const connectTo = (index: number, options: Partial<FakePairOptions> = {}): FakePair => {
    const spec = specs[index];
    ids += 2;
    const pair = createFakePair({
      clock,
      accept(connection) {
        const handler = hop(index).core.accept(connection);
        return {
          ...handler,
          request(stream) {
            hop(index).requests.push(stream.request);
            hop(index).streams.push(stream);
            return handler.request(stream);
          },
        };
      },
      version: spec?.version ?? 'h3',
      transport: { idleTimeout: 30_000, keepAlive: 10_000 },
      connectionId: ids,
      remote: { address: `192.0.2.${index + 10}`, port: 443 },
      ...(spec?.conditions ? { conditions: spec.conditions } : {}),
      ...options,
    });
    hop(index).pairs.push(pair);
    return pair;
  };
  const driver: TransportDriver = {
    async dial(target) {
      const index = Number(/^hop-(\d)\.test$/.exec(target.host)?.[1]);
      await new Promise<void>((resolve) => clock.setTimeout(resolve, 5));
      if (hop(index).reach === 'silent') await new Promise(() => undefined);
      if (hop(index).reach === 'down') throw new BautaError('ERR_PROXY_UNREACHABLE');
      const transport = createHttpTransport();
      return transport.attach(connectTo(index, { client: transport.handler }).client, ids);
    },
  };

  for (const [index, spec] of specs.entries()) {
    const sockets = createScriptedSockets();
    const events: ProxyEvent[] = [];
    const queries: string[] = [];
    const next = spec.next ?? (index + 1 < specs.length ? index + 1 : undefined);
    const proxyEvents = createProxyEvents((event) => events.push(event));
    const loops = createLoopGuard((length) => new Uint8Array(length).fill(index + 1));
    const relay = createRelay({
      loops,
      clock,
      random: () => 0.5,
      randomBytes: (length) => new Uint8Array(length).fill(index + 1),
      driver,
      event: proxyEvents.emit,
      versions: [(next === undefined ? undefined : specs[next]?.version) ?? 'h3'],
    });
    const link = next === undefined ? undefined : specs[next]?.link;
    const core = createProxyCore({
      clock,
      sockets: sockets.face,
      tcpSockets: noTcp,
      names: createNameResolution({
        clock,
        query: async (name, family) => {
          queries.push(name);
          const address = name === 'name.test' && family === 4 ? '8.8.4.4' : undefined;
          if (address === undefined) return { kind: 'error', rcode: 'NXDOMAIN' };
          return { kind: 'addresses', records: [{ address, ttl: 60 }] };
        },
        hosts: { lookup: async () => [] },
        timeout: 5_000,
        maxPending: 100,
        maxPendingOfOwner: 10,
      }),
      routes: {
        udp: createTargetRoute(defaultTemplates.udp),
        tcp: createTargetRoute(defaultTemplates.tcp),
      },
      loops,
      rules: createTargetRules(
        spec.targets ?? {},
        createOwnAddresses(clock, [], () => ({})),
      ),
      authenticate: async (credential) =>
        credential.scheme === 'basic' && credential.password === passwordOf(index)
          ? { name: credential.name }
          : null,
      decide: spec.decide,
      ...(next === undefined ? {} : { via: link ?? linkTo(next) }),
      relay,
      events: proxyEvents,
      limits: { ...defaultLimits, ...spec.limits },
    });
    hops.push({ core, relay, sockets, events, queries, requests: [], streams: [], pairs: [], reach: 'up' });
  }

  return {
    clock,
    hops,
    hop,
    connect: (options) => connectTo(0, options),
    ask(pair, target, fields = [['authorization', basic(`client:${passwordOf(0)}`)]]) {
      const payloads: Buffer[] = [];
      const tunnel = openUdpTunnel(
        pair.client,
        {
          authority: 'hop-0.test',
          path: `/.well-known/masque/udp/${target}/`,
          fields,
          clock,
          timeout: 30_000,
        },
        {
          payload: (bytes, start, end) =>
            payloads.push(Buffer.from(Uint8Array.prototype.slice.call(bytes, start, end))),
        },
        new AbortController().signal,
      );
      return Object.assign(Object.create(tunnel) as OpenUdpTunnel, {
        payloads,
        sendText(text: string) {
          const bytes = Buffer.from(text);
          return tunnel.send(bytes, 0, bytes.length);
        },
      });
    },
    pass: (milliseconds = 200) => clock.advanceAsync(milliseconds),
  };
}

/** The link by which a hop's predecessor comes to it. */
export function linkTo(index: number): string {
  return `https://hop-user:${passwordOf(index)}@hop-${index}.test/`;
}

/** The one socket that the last hop opened. */
export function exitSocket(hop: FakeHop): FakeHop['sockets']['opened'][number] {
  const socket = hop.sockets.opened.at(-1);
  if (!socket) throw new Error('no socket was opened');
  return socket;
}

/** What a hop has counted for its first UDP tunnel, or another. */
export function udpCounters(hop: FakeHop, index = 0): UdpTunnelStatistics {
  const counters = [...hop.core.tunnels.running()][index]?.counters();
  if (counters?.kind !== 'udp') throw new Error('no such UDP tunnel');
  return counters.statistics;
}
