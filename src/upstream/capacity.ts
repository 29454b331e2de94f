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

/** A class because there is one for each connection. */
class ConnectionCapacity implements Capacity {
  private most: MaxStreams;
  /** What a later SETTINGS frame allows below an explicit number. */
  private ceiling = Number.POSITIVE_INFINITY;

  constructor(
    private readonly connection: TransportConnection,
    private readonly explicit: MaxStreams | undefined,
  ) {
    if (explicit !== undefined) this.most = explicit;
    else if (connection.version === 'h3') this.most = 'dynamic';
    else if (connection.version === 'h1') this.most = 1;
    else this.most = this.ofPeer(true) ?? UNSTATED;
  }

  get maxStreams(): MaxStreams {
    const { most } = this;
    return most === 'dynamic' ? most : Math.min(most, this.ceiling);
  }

  limit(): number | undefined {
    if (this.most !== 'dynamic') return Math.min(this.most, this.ceiling);
    const value = stated(this.connection);
    return typeof value === 'number' ? value : undefined;
  }

  settingsChanged(): void {
    if (this.connection.version !== 'h2') return;
    const later = this.ofPeer(false);
    if (later === undefined) return;
    if (this.explicit === undefined) this.most = later;
    else this.ceiling = later === 'dynamic' ? Number.POSITIVE_INFINITY : later;
  }

  private ofPeer(first: boolean): MaxStreams | undefined {
    const value = stated(this.connection);
    if (value === 'unlimited') return 'dynamic';
    if (value === undefined || (first && value === 0)) return first ? UNSTATED : undefined;
    return value;
  }
}

/**
 * The capacity of a connection: the explicit one; by default on HTTP/3 what the transport says at each moment,
 * on HTTP/2 the peer's SETTINGS_MAX_CONCURRENT_STREAMS, and 100 where that is absent, 0 or invalid at the
 * start; 1 on HTTP/1.1. A later SETTINGS frame changes it, and a later 0 stops new streams.
 */
export function createCapacity(connection: TransportConnection, explicit: MaxStreams | undefined): Capacity {
  checkMaxStreams(explicit);
  return new ConnectionCapacity(connection, explicit);
}
