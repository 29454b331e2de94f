/**
 * What may wait to be written to one stream or socket, bytes: `write` returns false from `high` on, and `drain`
 * follows at half of it.
 */
export const writeMarks = { high: 64 * 1024, raised: 256 * 1024 } as const;

/**
 * Whoever has taken this much gets the raised mark: more than the kernel and flow control swallow for a reader
 * who reads nothing, so that slow readers never get there at once.
 */
const PROVEN = 16 * 1024 * 1024;

/** What waits beyond the ordinary marks, of all who share it. While it is used up nobody's mark is raised. */
export interface SharedRoom {
  used: number;
  readonly most: number;
}

/** Room beyond the ordinary marks for as many as one machine's cores keep busy. */
export function createSharedRoom(most = 32 * 1024 * 1024): SharedRoom {
  return { used: 0, most };
}

/**
 * Counts what waits to be written. Crossing threads and event loops for every 64 KiB costs more than moving
 * them, so a reader who keeps up gets a higher mark. A class because there are thousands.
 */
export class WriteGauge {
  buffered = 0;
  private gone = 0;
  private beyond = 0;
  /** `buffered` at which `drain` is due; -1 while nobody waits for it. */
  private drainAt = -1;

  constructor(
    private readonly room: SharedRoom,
    private readonly raised: number = writeMarks.raised,
  ) {}

  /** Takes note of bytes that wait; false when no more should follow until they drained. */
  written(bytes: number): boolean {
    this.buffered += bytes;
    const { buffered, room } = this;
    if (buffered < writeMarks.high && this.drainAt < 0) return true;
    const high = this.gone >= PROVEN && room.used < room.most ? this.raised : writeMarks.high;
    this.count();
    // Once stopped it stays so until the drain, although the mark may be raised meanwhile.
    if (this.drainAt >= 0) return false;
    if (buffered < high) return true;
    this.drainAt = high / 2;
    return false;
  }

  /** Takes note of bytes that went; true when it is time to tell of the drain. */
  went(bytes: number): boolean {
    this.gone += bytes;
    this.buffered = Math.max(0, this.buffered - bytes);
    if (this.beyond > 0) this.count();
    if (this.buffered > this.drainAt) return false;
    this.drainAt = -1;
    return true;
  }

  /** Nothing waits any more, and nobody for it. */
  clear(): void {
    this.buffered = 0;
    this.drainAt = -1;
    this.count();
  }

  private count(): void {
    const beyond = Math.max(0, this.buffered - writeMarks.high);
    this.room.used += beyond - this.beyond;
    this.beyond = beyond;
  }
}
