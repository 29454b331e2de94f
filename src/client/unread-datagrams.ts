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

/** A ring that grows to its limit and not beyond. */
export function createUnreadDatagrams(limits: UnreadLimits): UnreadDatagrams {
  let ring: (Buffer | undefined)[] = new Array<Buffer | undefined>(Math.min(16, limits.count));
  let head = 0;
  let length = 0;
  let bytes = 0;
  let dropped = 0;

  const shift = (): Buffer | undefined => {
    if (length === 0) return undefined;
    const first = ring[head];
    ring[head] = undefined;
    head = (head + 1) % ring.length;
    length -= 1;
    bytes -= first?.length ?? 0;
    return first;
  };
  const grow = (): void => {
    const wider = new Array<Buffer | undefined>(Math.min(limits.count, ring.length * 2));
    for (let index = 0; index < length; index++) wider[index] = ring[(head + index) % ring.length];
    ring = wider;
    head = 0;
  };

  return {
    get length() {
      return length;
    },
    get bytes() {
      return bytes;
    },
    get dropped() {
      return dropped;
    },
    push(datagram) {
      while (length > 0 && (length >= limits.count || bytes + datagram.length > limits.bytes)) {
        shift();
        dropped += 1;
      }
      if (length === ring.length) grow();
      ring[(head + length) % ring.length] = datagram;
      length += 1;
      bytes += datagram.length;
    },
    shift,
    clear() {
      while (length > 0) shift();
    },
  };
}
