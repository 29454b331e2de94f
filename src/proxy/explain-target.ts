import type { Clock } from '../clock/clock.js';
import { systemClock } from '../clock/system-clock.js';
import { type ErrorCode, failures } from '../protocol/failures.js';
import { formatHostPort, parseTarget } from '../protocol/target.js';
import { accessOf, type Hop } from '../upstream/hop.js';
import { createDnsQuery } from './dns-query.js';
import { createHosts } from './hosts-file.js';
import { createNameResolution, type Resolution } from './name-resolution.js';
import { judgeForwarded } from './open-via.js';
import { createOwnAddresses } from './own-addresses.js';
import { createTargetRules, type TargetLists, type TargetVerdict } from './target-rules.js';

/** What a proxy would decide for a target, and why. */
export interface TargetExplanation {
  readonly target: { readonly host: string; readonly port: number };
  /** True when at least one address would be dialled over UDP. */
  readonly allowed: boolean;
  /** The same for TCP, which some ports are refused for. */
  readonly tcp: { readonly allowed: boolean; readonly reason: string | undefined };
  /** The next hop that would be asked for it, as `HOST:PORT`; undefined where it is dialled from here. */
  readonly via: string | undefined;
  /** Why, where no address was looked at: the name is refused, cannot be resolved, or is the next hop's to resolve. */
  readonly reason: string | undefined;
  /** What an operator can do about it; undefined where it is allowed, or refused by a rule of theirs. */
  readonly hint: string | undefined;
  readonly addresses: readonly {
    readonly address: string;
    readonly allowed: boolean;
    readonly reason: string;
  }[];
}

export interface ExplainOptions {
  readonly targets?: TargetLists;
  readonly publicAddress?: readonly string[];
  readonly nameServers?: readonly string[];
  readonly via?: Hop;
}

const NAME_TIMEOUT = 5_000;

const unresolved = (resolution: Exclude<Resolution, { kind: 'addresses' }>): string => {
  if (resolution.kind === 'error')
    return `the name cannot be resolved: ${resolution.rcode ?? 'no name server'}`;
  return 'the name server does not answer';
};

/**
 * Explains the decision on `HOST:PORT` (port 443 when there is none) under these options, without connecting
 * to it. Rejects with `BautaError` ERR_TARGET_SYNTAX, ERR_LINK or ERR_USAGE.
 */
export async function explainTarget(
  text: string,
  options: ExplainOptions,
  signal: AbortSignal = new AbortController().signal,
  clock: Clock = systemClock,
): Promise<TargetExplanation> {
  const { kind, host, port } = parseTarget(text, 443);
  const target = { host, port };
  const rules = createTargetRules(
    options.targets ?? {},
    createOwnAddresses(clock, options.publicAddress ?? []),
  );
  let via: string | undefined;
  if (options.via !== undefined) {
    const hop = accessOf(options.via);
    via = formatHostPort(hop.host, hop.port);
  }
  if (via !== undefined && kind === 'name') {
    const no = judgeForwarded(rules, target, 'udp');
    const noTcp = judgeForwarded(rules, target, 'tcp');
    const reason = no?.detail ?? 'the next hop resolves the name, and the last hop judges its addresses';
    const tcp = { allowed: noTcp === undefined, reason: noTcp?.detail ?? reason };
    const hint = hintOf([no?.code, noTcp?.code]);
    return { target, allowed: no === undefined, tcp, via, reason, hint, addresses: [] };
  }
  let candidates: readonly string[] = [host];
  if (kind === 'name') {
    const denied = rules.judgeName(host);
    if (denied) return refusedWhole(target, via, denied.reason);
    const names = createNameResolution({
      clock,
      query: createDnsQuery(options.nameServers ?? [], NAME_TIMEOUT),
      hosts: createHosts(clock),
      timeout: NAME_TIMEOUT,
      maxPending: 1,
      maxPendingOfOwner: 1,
    });
    const resolution = await names.resolve(host, '', signal);
    if (resolution.kind !== 'addresses') {
      return refusedWhole(target, via, unresolved(resolution));
    }
    candidates = resolution.addresses;
  }
  const judged = (address: string, tcpPort?: number): TargetVerdict =>
    rules.judge(kind === 'name' ? host : undefined, address, tcpPort);
  const overUdp = candidates.map((address) => judged(address));
  const overTcp = candidates.map((address) => judged(address, port));
  const best = overTcp.find(({ allowed }) => allowed) ?? overTcp[0];
  return {
    target,
    allowed: overUdp.some(({ allowed }) => allowed),
    tcp: { allowed: best?.allowed ?? false, reason: best?.reason },
    via,
    reason: undefined,
    hint: hintOf([...overUdp, ...overTcp].map((verdict) => (verdict.allowed ? undefined : verdict.code))),
    addresses: overUdp.map(({ allowed, reason }, i) => ({ address: candidates[i] ?? '', allowed, reason })),
  };
}

/** A refusal that is built in can be lifted. */
function hintOf(codes: readonly (ErrorCode | undefined)[]): string | undefined {
  return codes.includes('ERR_TARGET_REFUSED') ? failures.ERR_TARGET_REFUSED.hint : undefined;
}

/** No address was looked at. */
function refusedWhole(
  target: TargetExplanation['target'],
  via: string | undefined,
  reason: string,
): TargetExplanation {
  return {
    target,
    allowed: false,
    tcp: { allowed: false, reason },
    via,
    reason,
    hint: undefined,
    addresses: [],
  };
}
