import type { TransportConnection } from './transport.js';
import { UpstreamError } from './upstream-error.js';

/** Streams at once on a connection: a positive integer, or `dynamic`: whatever the transport says when asked. */
export type MaxStreams = number | 'dynamic';

/** Where HTTP/2 does not say (RFC 9113 section 6.5.2 recommends no less). */
const UNSTATED = 100;

/** How many streams one connection takes. */
export interface Capacity {
  readonly maxStreams: MaxStreams;
  /** Streams that may be open now; undefined where only the transport knows. */
  limit(): number | undefined;
  /** A later SETTINGS frame came. */
  settingsChanged(): void;
}

/** Throws `invalid_option` unless the value is undefined, `dynamic` or a positive integer. */
export function checkMaxStreams(value: MaxStreams | undefined): void {
  if (value === undefined || value === 'dynamic') return;
  if (Number.isSafeInteger(value) && value > 0) return;
  throw new UpstreamError({ kind: 'invalid_option', option: 'maxStreams', value });
}

/** What the transport states: a whole number from 0 on, `unlimited`, or undefined where it says nothing usable. */
function stated(connection: TransportConnection): number | 'unlimited' | undefined {
  try {
    const value = connection.capacity();
    if (value === 'unlimited' || value === undefined) return value;
    return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The capacity of a connection: the explicit one; by default on HTTP/3 what the transport says at each moment,
 * on HTTP/2 the peer's SETTINGS_MAX_CONCURRENT_STREAMS, and 100 where that is absent, 0 or invalid at the
 * start; 1 on HTTP/1.1. A later SETTINGS frame changes it, and a later 0 stops new streams.
 */
export function createCapacity(connection: TransportConnection, explicit: MaxStreams | undefined): Capacity {
  checkMaxStreams(explicit);
  let maxStreams: MaxStreams;
  /** What a later SETTINGS frame allows below an explicit number. */
  let ceiling = Number.POSITIVE_INFINITY;

  const ofPeer = (first: boolean): MaxStreams | undefined => {
    const value = stated(connection);
    if (value === 'unlimited') return 'dynamic';
    if (value === undefined || (first && value === 0)) return first ? UNSTATED : undefined;
    return value;
  };
  if (explicit !== undefined) maxStreams = explicit;
  else if (connection.version === 'h3') maxStreams = 'dynamic';
  else if (connection.version === 'h1') maxStreams = 1;
  else maxStreams = ofPeer(true) ?? UNSTATED;

  return {
    get maxStreams() {
      return maxStreams === 'dynamic' ? maxStreams : Math.min(maxStreams, ceiling);
    },
    limit() {
      if (maxStreams !== 'dynamic') return Math.min(maxStreams, ceiling);
      const value = stated(connection);
      return typeof value === 'number' ? value : undefined;
    },
    settingsChanged() {
      if (connection.version !== 'h2') return;
      const later = ofPeer(false);
      if (later === undefined) return;
      if (explicit === undefined) maxStreams = later;
      else ceiling = later === 'dynamic' ? Number.POSITIVE_INFINITY : later;
    },
  };
}
