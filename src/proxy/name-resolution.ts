import type { Clock } from '../clock/clock.js';
import type { DnsAnswer, DnsQuery } from './dns-query.js';
import type { Hosts } from './hosts-file.js';

/** What became of a name. */
export type Resolution =
  /** At least one address; IPv6 and IPv4 in turn, IPv6 first (RFC 8305 section 4). */
  | { readonly kind: 'addresses'; readonly addresses: readonly string[] }
  | { readonly kind: 'error'; readonly rcode: string | undefined }
  | { readonly kind: 'timeout' }
  /** Too many names are being looked up already. */
  | { readonly kind: 'busy' };

/** Finds the addresses of names. */
export interface NameResolution {
  /** `owner` is who the look-up is counted for. Never rejects; on abort it says `timeout`. */
  resolve(name: string, owner: string, signal: AbortSignal): Promise<Resolution>;
  /** Names being looked up now. */
  readonly pending: number;
}

export interface NameResolutionOptions {
  readonly clock: Clock;
  readonly query: DnsQuery;
  readonly hosts: Hosts;
  /** Milliseconds for a name, both families together. */
  readonly timeout: number;
  /** Names looked up at once, in all and for one owner. */
  readonly maxPending: number;
  readonly maxPendingOfOwner: number;
}

/** How long the second family may follow the first, milliseconds (RFC 8305 section 3). */
const RESOLUTION_DELAY = 50;
/** Bounds on how long an answer is kept, seconds. */
const MIN_TTL = 1;
const MAX_TTL = 300;
const MAX_KEPT = 4_096;

interface Kept {
  readonly resolution: Resolution;
  readonly until: number;
}

function interleave(six: readonly string[], four: readonly string[]): string[] {
  const addresses: string[] = [];
  for (let index = 0; index < Math.max(six.length, four.length); index++) {
    const [a, b] = [six[index], four[index]];
    if (a !== undefined) addresses.push(a);
    if (b !== undefined) addresses.push(b);
  }
  return addresses;
}

const addressesOf = (answer: DnsAnswer | undefined): string[] =>
  answer?.kind === 'addresses' ? answer.records.map(({ address }) => address) : [];

function failureOf(six: DnsAnswer | undefined, four: DnsAnswer | undefined): Resolution {
  for (const answer of [four, six]) {
    if (answer?.kind === 'error' && answer.rcode !== 'NOERROR') return answer;
  }
  if (four?.kind === 'error' && six?.kind === 'error') return { kind: 'error', rcode: 'NOERROR' };
  return { kind: 'timeout' };
}

/** Asks for both families at once; one family's addresses need not wait long for the other's. */
function lookUp(name: string, options: NameResolutionOptions): Promise<{ kept: Resolution; ttl: number }> {
  const { clock, query } = options;
  return new Promise((resolve) => {
    let six: DnsAnswer | undefined;
    let four: DnsAnswer | undefined;
    let done = false;
    const finish = (): void => {
      done = true;
      clock.clearTimeout(limit);
      clock.clearTimeout(delay);
      const addresses = interleave(addressesOf(six), addressesOf(four));
      if (addresses.length === 0) {
        resolve({ kept: failureOf(six, four), ttl: 0 });
        return;
      }
      let ttl = MAX_TTL;
      for (const answer of [six, four]) {
        if (answer?.kind === 'addresses')
          for (const record of answer.records) ttl = Math.min(ttl, record.ttl);
      }
      resolve({ kept: { kind: 'addresses', addresses }, ttl: Math.max(ttl, MIN_TTL) });
    };
    const limit = clock.setTimeout(finish, options.timeout);
    let delay: ReturnType<Clock['setTimeout']> | undefined;
    const answered = (answer: DnsAnswer): void => {
      if (done) return;
      if (six && four) finish();
      else if (answer.kind === 'addresses') delay = clock.setTimeout(finish, RESOLUTION_DELAY);
    };
    query(name, 6).then((answer) => {
      six = answer;
      answered(answer);
    });
    query(name, 4).then((answer) => {
      four = answer;
      answered(answer);
    });
  });
}

/**
 * Names to addresses: the hosts file, then the name servers. Requests for the same name share one look-up,
 * answers are kept for their time to live, and a name that takes long holds up nobody else.
 */
export function createNameResolution(options: NameResolutionOptions): NameResolution {
  const { clock } = options;
  const kept = new Map<string, Kept>();
  const pending = new Map<string, Promise<Resolution>>();
  const owners = new Map<string, number>();

  const start = (name: string, owner: string): Promise<Resolution> => {
    owners.set(owner, (owners.get(owner) ?? 0) + 1);
    const started = lookUp(name, options).then(({ kept: resolution, ttl }) => {
      pending.delete(name);
      const left = (owners.get(owner) ?? 1) - 1;
      if (left > 0) owners.set(owner, left);
      else owners.delete(owner);
      if (ttl > 0) {
        kept.delete(name);
        const oldest = kept.keys().next();
        if (kept.size >= MAX_KEPT && !oldest.done) kept.delete(oldest.value);
        kept.set(name, { resolution, until: clock.now() + ttl * 1_000 });
      }
      return resolution;
    });
    pending.set(name, started);
    return started;
  };

  return {
    async resolve(host, owner, signal) {
      const name = host.toLowerCase().replace(/\.$/, '');
      const fixed = await options.hosts.lookup(name);
      if (fixed.length > 0) {
        const six = fixed.filter((address) => address.includes(':'));
        const four = fixed.filter((address) => !address.includes(':'));
        return { kind: 'addresses', addresses: interleave(six, four) };
      }
      const known = kept.get(name);
      if (known && clock.now() < known.until) return known.resolution;
      const running = pending.get(name);
      const full =
        pending.size >= options.maxPending || (owners.get(owner) ?? 0) >= options.maxPendingOfOwner;
      if (!running && full) return { kind: 'busy' };
      return untilAborted(running ?? start(name, owner), signal);
    },
    get pending() {
      return pending.size;
    },
  };
}

function untilAborted(promise: Promise<Resolution>, signal: AbortSignal): Promise<Resolution> {
  return new Promise((resolve) => {
    const aborted = (): void => resolve({ kind: 'timeout' });
    if (signal.aborted) {
      aborted();
      return;
    }
    signal.addEventListener('abort', aborted, { once: true });
    promise.then((resolution) => {
      signal.removeEventListener('abort', aborted);
      resolve(resolution);
    });
  });
}
