import type { Clock } from '../clock/clock.js';
import type { PeerSettings } from '../http/connection.js';
import { Line } from '../tables/line.js';
import { NumberTable } from '../tables/number-table.js';
import type { Capacity } from './capacity.js';
import type { Owner } from './owner.js';
import type { Slot } from './slot.js';
import type { TransportConnection } from './transport.js';

/** Where the limit is not known, streams that have no leave yet, before others are opened elsewhere. */
const MOST_UNCONFIRMED = 100;

/** An engine may take this long to give a stream its id; one that has none after it waits for the peer, milliseconds. */
const OPENING_TIME = 100;

type Figures = Pick<
  Owner,
  | 'fingerprint'
  | 'version'
  | 'connection'
  | 'settings'
  | 'state'
  | 'streams'
  | 'load'
  | 'used'
  | 'capacity'
  | 'hasRoom'
>;

/** The streams of an owner, and its figures. A class because there may be one for each tunnel. */
export class OwnerBooks implements Figures {
  readonly version: Owner['version'];
  state: Owner['state'] = 'open';
  used = false;
  readonly slots = new NumberTable<Slot>();
  /** Since when each stream without an id waits. */
  readonly waitingToOpen = new Line<number>();
  /** Places held without a request yet. */
  reserved = 0;
  private readonly byId = new NumberTable<Slot>();
  /** Streams that were open when the peer first made one wait. */
  private observed: number | undefined;

  constructor(
    readonly connection: TransportConnection,
    readonly fingerprint: string | undefined,
    private readonly limits: Capacity,
    private readonly clock: Clock,
  ) {
    this.version = connection.version;
  }

  get settings(): PeerSettings {
    return this.connection.settings;
  }

  get streams(): number {
    return this.slots.size;
  }

  get load(): number {
    return this.slots.size + this.reserved;
  }

  get capacity(): number | undefined {
    const { streamsLeft } = this.connection;
    return this.limits.limit() ?? (streamsLeft === undefined ? this.observed : this.slots.size + streamsLeft);
  }

  get hasRoom(): boolean {
    const limit = this.limits.limit();
    if (this.state !== 'open' || !this.connection.usable) return false;
    const { streamsLeft } = this.connection;
    if (streamsLeft !== undefined) {
      return this.reserved < streamsLeft && (limit === undefined || this.load < limit);
    }
    if (this.peerMakesWait()) return false;
    return limit === undefined
      ? this.reserved + this.waitingToOpen.size < MOST_UNCONFIRMED
      : this.load < limit;
  }

  enter(slot: Slot): void {
    this.slots.set(slot.stream.handle, slot);
    if (slot.stream.tunnel.id >= 0) this.opened(slot);
    else slot.waits = this.waitingToOpen.join(this.clock.now());
  }

  /** The stream has its id. */
  opened(slot: Slot): void {
    const { id } = slot.stream.tunnel;
    this.endWait(slot);
    if (id >= 0) this.byId.set(id, slot);
  }

  /** False when it is out already. */
  leave(slot: Slot): boolean {
    if (!this.slots.delete(slot.stream.handle)) return false;
    const { id } = slot.stream.tunnel;
    if (this.byId.get(id) === slot) this.byId.delete(id);
    this.endWait(slot);
    return true;
  }

  withId(id: number): Slot | undefined {
    return this.byId.get(id);
  }

  private endWait(slot: Slot): void {
    if (!slot.waits) return;
    this.waitingToOpen.leave(slot.waits);
    slot.waits = undefined;
  }

  /** The peer gives no leave for another stream now; learns how many it did give. */
  private peerMakesWait(): boolean {
    const { first } = this.waitingToOpen;
    if (first === undefined || this.clock.now() - first < OPENING_TIME) return false;
    this.observed = this.slots.size - this.waitingToOpen.size;
    return true;
  }
}
