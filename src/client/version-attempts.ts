import { BautaError } from '../protocol/bauta-error.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import type { RaceAttempt } from '../upstream/racer.js';
import { allVersionsFailed, dialError } from './dial-failure.js';

/** What became of one version in one choice. */
export type VersionAttempt =
  | { readonly version: HttpVersion; readonly outcome: 'won' }
  | { readonly version: HttpVersion; readonly outcome: 'failed'; readonly error: BautaError }
  /** Another was up first. */
  | { readonly version: HttpVersion; readonly outcome: 'cancelled' }
  | { readonly version: HttpVersion; readonly outcome: 'not-tried' };

/** A failure, from this race or remembered from one before it. */
export interface VersionFailure {
  readonly version: HttpVersion;
  readonly error: unknown;
}

const preference: readonly HttpVersion[] = ['h3', 'h2', 'h1'];

/** The versions in the order in which they are preferred. */
export function byPreference(versions: readonly HttpVersion[]): HttpVersion[] {
  return preference.filter((version) => versions.includes(version));
}

/** QUIC stayed silent while TCP answered: said as what it means for the user. */
function udpBlocked(waited: string): BautaError {
  return new BautaError('ERR_UDP_BLOCKED', {
    detail: `no answer over UDP ${waited}`,
    hint: 'bauta doctor LINK',
  });
}

/** True where what became of it shows that TCP got through to the proxy. */
function reachedByTcp(attempt: VersionAttempt): boolean {
  if (attempt.version === 'h3') return false;
  if (attempt.outcome === 'won') return true;
  if (attempt.outcome !== 'failed') return false;
  return !['ERR_PROXY_UNREACHABLE', 'ERR_PROXY_TIMEOUT', 'ERR_ABORTED', 'ERR_PROXY_NAME'].includes(
    attempt.error.code,
  );
}

function attemptOf(
  version: HttpVersion,
  race: RaceAttempt | undefined,
  before: VersionFailure | undefined,
): VersionAttempt {
  switch (race?.outcome) {
    case 'won':
      return { version, outcome: 'won' };
    case 'failed':
      return { version, outcome: 'failed', error: dialError(race.error) };
    case 'withdrawn':
      return { version, outcome: 'cancelled' };
    default:
      return before
        ? { version, outcome: 'failed', error: dialError(before.error) }
        : { version, outcome: 'not-tried' };
  }
}

function noteBlockedUdp(attempt: VersionAttempt, race: RaceAttempt | undefined): VersionAttempt {
  if (attempt.version !== 'h3') return attempt;
  const { version } = attempt;
  if (race?.outcome === 'withdrawn') {
    return { version, outcome: 'failed', error: udpBlocked(`within ${Math.round(race.after)} ms`) };
  }
  const silent =
    attempt.outcome === 'failed' && ['ERR_PROXY_TIMEOUT', 'ERR_TIMEOUT'].includes(attempt.error.code);
  return silent ? { version, outcome: 'failed', error: udpBlocked('in time') } : attempt;
}

/**
 * What became of each of these versions: in this race, or for one that it did not try, why it failed before.
 * HTTP/3 that was silent while TCP got through is told as `ERR_UDP_BLOCKED`.
 */
export function versionAttempts(
  versions: readonly HttpVersion[],
  race: readonly RaceAttempt[],
  before: readonly VersionFailure[],
): VersionAttempt[] {
  const raced = (version: HttpVersion): RaceAttempt | undefined =>
    race.find((attempt) => attempt.version === version);
  const attempts = byPreference(versions).map((version) =>
    attemptOf(
      version,
      raced(version),
      before.find((failure) => failure.version === version),
    ),
  );
  if (!attempts.some(reachedByTcp)) return attempts;
  return attempts.map((attempt) => noteBlockedUdp(attempt, raced(attempt.version)));
}

/** No version came up: one error with the most telling code and each version's reason. */
export function noVersionLeft(
  versions: readonly HttpVersion[],
  failures: readonly VersionFailure[],
): BautaError {
  const race = failures.map(({ version, error }) => ({ version, outcome: 'failed' as const, error }));
  return allVersionsFailed(
    versionAttempts(versions, race, []).flatMap((attempt) =>
      attempt.outcome === 'failed' ? [{ version: attempt.version, error: attempt.error }] : [],
    ),
  );
}
