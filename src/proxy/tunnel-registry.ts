import type { ResetReason } from '../protocol/reset-reason.js';
import { Line, type Place } from '../tables/line.js';
import { NumberTable } from '../tables/number-table.js';
import type { TunnelCounters, TunnelDescription } from './events.js';
import { addressKey, createUsage, type LimitReached, type ProxyLimits } from './limits.js';

/** A place for one tunnel, counted from the request to the end of its stream. */
export interface TunnelPlace {
  /**
   * The client is known: counts it for the user, for the address and in all, where strangers take no place; the
   * limit that is reached otherwise.
   */
  claimUser(name: string): LimitReached | undefined;
  opened(tunnel: RunningTunnel): void;
  /** It is for a plain request and not for a tunnel. */
  forwards(): void;
  /** Idempotent. */
  release(): void;
}

export interface RunningTunnel {
  readonly description: TunnelDescription;
  /** As they are now. */
  counters(): TunnelCounters;
  /** Ends it in order, as far as its kind has an order. */
  end(): void;
  reset(reason: ResetReason): void;
}

/** All tunnels of a proxy, and the limits on them. */
export interface TunnelRegistry {
  /** A place on the connection, or the limit that stands in the way. */
  claim(connection: number, address: string): TunnelPlace | LimitReached;
  running(): Iterable<RunningTunnel>;
  /** Requests of users under way and tunnels; tunnels that are open; tunnels ever opened. */
  readonly places: number;
  readonly open: number;
  readonly opened: number;
  /** Plain requests that are being forwarded, and that ever were. */
  readonly forwarding: number;
  readonly forwarded: number;
}

/** What places are counted in. */
class Book {
  readonly running = new Line<RunningTunnel>();
  readonly users = createUsage();
  readonly addresses = createUsage();
  readonly connections = new NumberTable<number>();
  places = 0;
  opened = 0;
  forwarding = 0;
  forwarded = 0;

  constructor(readonly limits: () => ProxyLimits) {}
}

/** A class because there are thousands. */
class TakenPlace implements TunnelPlace {
  private user: string | undefined;
  private tunnel: Place<RunningTunnel> | undefined;
  private released = false;
  private forwarding = false;

  constructor(
    private readonly book: Book,
    private readonly on: number,
    private readonly from: string,
  ) {}

  claimUser(name: string): LimitReached | undefined {
    if (this.released || this.user !== undefined) return undefined;
    const { book } = this;
    const { tunnels, tunnelsPerAddress, tunnelsPerUser } = book.limits();
    if (book.places >= tunnels) return 'total';
    if (book.addresses.count(this.from) >= tunnelsPerAddress) return 'address';
    if (book.users.count(name) >= tunnelsPerUser) return 'user';
    this.user = name;
    book.places++;
    book.addresses.add(this.from);
    book.users.add(name);
    return undefined;
  }

  opened(tunnel: RunningTunnel): void {
    if (this.released || this.tunnel) return;
    this.tunnel = this.book.running.join(tunnel);
    this.book.opened++;
  }

  forwards(): void {
    if (this.released || this.forwarding) return;
    this.forwarding = true;
    this.book.forwarding++;
    this.book.forwarded++;
  }

  release(): void {
    if (this.released) return;
    this.released = true;
    const { book } = this;
    const left = (book.connections.get(this.on) ?? 1) - 1;
    if (left > 0) book.connections.set(this.on, left);
    else book.connections.delete(this.on);
    if (this.user !== undefined) {
      book.places--;
      book.addresses.remove(this.from);
      book.users.remove(this.user);
    }
    if (this.tunnel) book.running.leave(this.tunnel);
    if (this.forwarding) book.forwarding--;
  }
}

export function createTunnelRegistry(limits: () => ProxyLimits): TunnelRegistry {
  const book = new Book(limits);
  return {
    claim(connection, address) {
      const taken = book.connections.get(connection) ?? 0;
      if (taken >= limits().tunnelsPerConnection) return 'connection';
      book.connections.set(connection, taken + 1);
      return new TakenPlace(book, connection, addressKey(address));
    },
    running: () => book.running,
    get places() {
      return book.places;
    },
    get open() {
      return book.running.size;
    },
    get opened() {
      return book.opened;
    },
    get forwarding() {
      return book.forwarding;
    },
    get forwarded() {
      return book.forwarded;
    },
  };
}
