import { createVirtualClock, type VirtualClock } from '../../src/clock/virtual-clock.js';
import { createFakePair, type FakePair, type FakePairOptions } from '../../src/http/fake/pair.js';
import type { RequestHead, ResponseHead } from '../../src/http/request.js';
import type { StreamOutcome } from '../../src/http/tunnel-stream.js';
import type { Fields } from '../../src/protocol/fields.js';
import { defaultTemplates } from '../../src/protocol/template.js';
import type { DnsAnswer } from '../../src/proxy/dns-query.js';
import { createProxyEvents, type ProxyEvent } from '../../src/proxy/events.js';
import { defaultLimits } from '../../src/proxy/limits.js';
import { createNameResolution } from '../../src/proxy/name-resolution.js';
import { createOwnAddresses } from '../../src/proxy/own-addresses.js';
import { createProxyCore, type ProxyCore, type ProxyCoreOptions } from '../../src/proxy/proxy-core.js';
import { createTargetRoute } from '../../src/proxy/target-route.js';
import { createTargetRules, type TargetLists } from '../../src/proxy/target-rules.js';
import { createLoopGuard } from '../../src/relay/via.js';
import { type OpenUdpTunnel, openUdpTunnel } from '../../src/tunnel/udp/open-udp.js';
import { createScriptedSockets, type ScriptedSockets } from '../tunnel/udp/scripted-sockets.js';
import { noTcp } from './no-tcp.js';

export const records = (...addresses: string[]): DnsAnswer => ({
  kind: 'addresses',
  records: addresses.map((address) => ({ address, ttl: 60 })),
});
export const NXDOMAIN: DnsAnswer = { kind: 'error', rcode: 'NXDOMAIN' };

/** A proxy without listeners, its clock, its target sockets and its name server, all in the test's hand. */
export interface CorePair {
  readonly clock: VirtualClock;
  readonly core: ProxyCore;
  readonly sockets: ScriptedSockets;
  readonly events: ProxyEvent[];
  /** Answers by name and family; anything else does not exist. `never` is silent. */
  readonly names: Map<string, DnsAnswer | 'never'>;
  readonly queries: string[];
  /** Another connection to it. */
  connect(options?: Partial<FakePairOptions>): FakePair;
}

export function createCorePair(
  options: Partial<Omit<ProxyCoreOptions, 'limits'>> & {
    limits?: Partial<ProxyCoreOptions['limits']>;
    targets?: TargetLists;
    template?: string;
    publicAddress?: string[];
  } = {},
): CorePair {
  const clock = createVirtualClock();
  const sockets = createScriptedSockets();
  const events: ProxyEvent[] = [];
  const names = new Map<string, DnsAnswer | 'never'>();
  const queries: string[] = [];
  const own = createOwnAddresses(clock, options.publicAddress ?? [], () => ({}));
  const core = createProxyCore({
    clock,
    sockets: sockets.face,
    tcpSockets: noTcp,
    names: createNameResolution({
      clock,
      query: (name, family) => {
        queries.push(`${name} ${family}`);
        const answer = names.get(`${name} ${family}`) ?? NXDOMAIN;
        return answer === 'never' ? new Promise(() => undefined) : Promise.resolve(answer);
      },
      hosts: { lookup: async (name) => (name === 'localhost' ? ['::1', '127.0.0.1'] : []) },
      timeout: 5_000,
      maxPending: 100,
      maxPendingOfOwner: 10,
    }),
    routes: {
      udp: createTargetRoute(options.template ?? defaultTemplates.udp),
      tcp: createTargetRoute(defaultTemplates.tcp),
    },
    loops: createLoopGuard((length) => new Uint8Array(length).fill(1)),
    rules: createTargetRules(options.targets ?? {}, own),
    authenticate: 'anyone',
    decide: undefined,
    events: createProxyEvents((event) => events.push(event)),
    ...options,
    limits: { ...defaultLimits, ...options.limits },
  });
  return {
    clock,
    core,
    sockets,
    events,
    names,
    queries,
    connect: (pairOptions) =>
      createFakePair({
        clock,
        accept: core.accept,
        transport: { idleTimeout: 3_600_000 },
        ...pairOptions,
      }),
  };
}

/** Asks for a tunnel to a target as it stands in the path. */
export function ask(
  pair: CorePair,
  connection: FakePair,
  target: string,
  fields: Fields = [],
): OpenUdpTunnel & { readonly payloads: Buffer[] } {
  const payloads: Buffer[] = [];
  const tunnel = openUdpTunnel(
    connection.client,
    {
      authority: 'proxy.test',
      path: `/.well-known/masque/udp/${target}/`,
      fields,
      clock: pair.clock,
      timeout: 30_000,
    },
    {
      payload: (bytes, start, end) =>
        payloads.push(Buffer.from(Uint8Array.prototype.slice.call(bytes, start, end))),
    },
    new AbortController().signal,
  );
  return Object.assign(tunnel, { payloads });
}

export const basic = (name: string, password: string): Fields => [
  ['authorization', `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`],
];

export interface Answer {
  head: ResponseHead | undefined;
  body: string;
  outcome: StreamOutcome | undefined;
}

/** Sends any request and waits for what comes of it. */
export async function request(pair: CorePair, connection: FakePair, head: RequestHead): Promise<Answer> {
  const answer: Answer = { head: undefined, body: '', outcome: undefined };
  const stream = connection.client.open(head, {
    response(given) {
      answer.head = given;
    },
    data(bytes, start, end) {
      answer.body += Buffer.from(bytes.subarray(start, end)).toString();
    },
    end: () => undefined,
    datagram: () => undefined,
    drain: () => undefined,
    closed(outcome) {
      answer.outcome = outcome;
    },
  });
  stream.grant(65_536);
  stream.end();
  await pair.clock.advanceAsync(50);
  return answer;
}
