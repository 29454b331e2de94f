/** Datagrams that nobody has read yet: bounded in number and bytes, the oldest given up first. */
export interface UnreadDatagrams {
  readonly length: number;
  readonly bytes: number;
  /** Datagrams given up for want of room. */
  readonly dropped: number;
  push(datagram: Buffer): void;
  shift(): Buffer | undefined;
  clear(): void;
}

export interface UnreadLimits {
  /** Datagrams. */
  readonly count: number;
  readonly bytes: number;
}

/** A ring that grows to its limit and not beyond. A class because there are thousands. */
class UnreadRing implements UnreadDatagrams {
  length = 0;
  bytes = 0;
  dropped = 0;
  private ring: (Buffer | undefined)[];
  private head = 0;

  constructor(private readonly limits: UnreadLimits) {
    this.ring = new Array<Buffer | undefined>(Math.min(16, limits.count));
  }

  push(datagram: Buffer): void {
    const { limits } = this;
    while (this.length > 0 && (this.length >= limits.count || this.bytes + datagram.length > limits.bytes)) {
      this.shift();
      this.dropped += 1;
    }
    if (this.length === this.ring.length) this.grow();
    this.ring[(this.head + this.length) % this.ring.length] = datagram;
    this.length += 1;
    this.bytes += datagram.length;
  }

  shift(): Buffer | undefined {
    if (this.length === 0) return undefined;
    const first = this.ring[this.head];
    this.ring[this.head] = undefined;
    this.head = (this.head + 1) % this.ring.length;
    this.length -= 1;
    this.bytes -= first?.length ?? 0;
    return first;
  }

  clear(): void {
    while (this.length > 0) this.shift();
  }

  private grow(): void {
    const { ring, head } = this;
    const wider = new Array<Buffer | undefined>(Math.min(this.limits.count, ring.length * 2));
    for (let index = 0; index < this.length; index++) wider[index] = ring[(head + index) % ring.length];
    this.ring = wider;
    this.head = 0;
  }
}

export function createUnreadDatagrams(limits: UnreadLimits): UnreadDatagrams {
  return new UnreadRing(limits);
}
