import type { Clock } from '../clock/clock.js';
import type { HttpVersion } from '../protocol/reset-reason.js';

/** What is remembered of one version of an origin. */
export interface RememberedFailure {
  readonly version: HttpVersion;
  readonly error: unknown;
  /** Milliseconds until it is tried in its turn again. */
  readonly left: number;
}

/** What won and what failed lately, by origin. */
export interface VersionMemory {
  /**
   * The versions in the order to try them: those that failed come last, also after their time where another is
   * known to work.
   */
  order(origin: string, versions: readonly HttpVersion[]): HttpVersion[];
  /** Versions whose time is over while another works: each is given once, to be tried beside it. */
  due(origin: string, versions: readonly HttpVersion[]): HttpVersion[];
  /** It works again. */
  recovered(origin: string, version: HttpVersion): void;
  won(origin: string, version: HttpVersion): void;
  failed(origin: string, version: HttpVersion, error: unknown): void;
  winner(origin: string): HttpVersion | undefined;
  failures(origin: string): RememberedFailure[];
  clear(): void;
}

interface Entry {
  winner: HttpVersion | undefined;
  readonly failed: Map<HttpVersion, { readonly until: number; readonly error: unknown }>;
}

/** Origins that are remembered; the one not touched for the longest goes first. */
const MOST = 1_024;

/**
 * An error whose stack was never read holds on to what its frames were called on, a socket for one. Read, it is
 * only text, and the memory keeps nothing of the connection that failed.
 */
function letGoOfFrames(error: unknown): void {
  for (let next = error; next instanceof Error; next = next.cause) String(next.stack);
}

/** `expiry` in milliseconds. */
export function createVersionMemory(clock: Clock, expiry: number): VersionMemory {
  const entries = new Map<string, Entry>();
  const touch = (origin: string): Entry => {
    const entry = entries.get(origin) ?? { winner: undefined, failed: new Map() };
    entries.delete(origin);
    entries.set(origin, entry);
    const [oldest] = entries.keys();
    if (entries.size > MOST && oldest !== undefined) entries.delete(oldest);
    return entry;
  };
  const failure = (origin: string, version: HttpVersion): RememberedFailure | undefined => {
    const failed = entries.get(origin)?.failed;
    const known = failed?.get(version);
    if (!known) return undefined;
    const left = known.until - clock.now();
    return { version, error: known.error, left: Math.max(0, left) };
  };
  const works = (origin: string, versions: readonly HttpVersion[]): boolean => {
    const winner = entries.get(origin)?.winner;
    return winner !== undefined && versions.includes(winner) && !failure(origin, winner);
  };

  return {
    order(origin, versions) {
      const known = works(origin, versions);
      const good = versions.filter((version) => {
        const bad = failure(origin, version);
        return !bad || (!known && bad.left === 0);
      });
      return [...good, ...versions.filter((version) => !good.includes(version))];
    },
    due(origin, versions) {
      const failed = entries.get(origin)?.failed;
      if (!failed || !works(origin, versions)) return [];
      const list = versions.filter((version) => failure(origin, version)?.left === 0);
      for (const version of list) {
        failed.set(version, { until: clock.now() + expiry, error: failed.get(version)?.error });
      }
      return list;
    },
    recovered(origin, version) {
      entries.get(origin)?.failed.delete(version);
    },
    won(origin, version) {
      const entry = touch(origin);
      entry.winner = version;
      entry.failed.delete(version);
    },
    failed(origin, version, error) {
      letGoOfFrames(error);
      touch(origin).failed.set(version, { until: clock.now() + expiry, error });
    },
    winner: (origin) => entries.get(origin)?.winner,
    failures(origin) {
      const versions = [...(entries.get(origin)?.failed.keys() ?? [])];
      return versions.flatMap((version) => failure(origin, version) ?? []).filter(({ left }) => left > 0);
    },
    clear: () => entries.clear(),
  };
}
