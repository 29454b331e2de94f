/**
 * QUIC variable-length integers (RFC 9000 section 16).
 *
 * Values are numbers. One above 2^53 - 1 reads as `Infinity`: it compares as what it is, larger than any
 * limit here, and a length of it never runs out.
 */

/** What `readVarint` returns while bytes are missing. */
export const INCOMPLETE = -1;

/** Bytes that a varint takes, told by its first byte. */
export function varintLength(firstByte: number): 1 | 2 | 4 | 8 {
  return (1 << (firstByte >> 6)) as 1 | 2 | 4 | 8;
}

/** Bytes that `value` takes when written; throws `RangeError` unless it is an integer from 0 to 2^53 - 1. */
export function varintSize(value: number): 1 | 2 | 4 | 8 {
  if (value < 0 || !Number.isSafeInteger(value)) throw new RangeError(`no varint: ${value}`);
  if (value < 0x40) return 1;
  if (value < 0x4000) return 2;
  return value < 0x40000000 ? 4 : 8;
}

function uint32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) |
      ((bytes[at + 1] ?? 0) << 16) |
      ((bytes[at + 2] ?? 0) << 8) |
      (bytes[at + 3] ?? 0)) >>>
    0
  );
}

/**
 * The varint at `at`, or `INCOMPLETE` when it does not end before `end`.
 * Its length is `varintLength(bytes[at])`.
 */
export function readVarint(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return INCOMPLETE;
  const first = bytes[at] ?? 0;
  if (first < 0x40) return first;
  if (first < 0x80) {
    return at + 2 > end ? INCOMPLETE : ((first & 0x3f) << 8) | (bytes[at + 1] ?? 0);
  }
  if (first < 0xc0) return at + 4 > end ? INCOMPLETE : uint32(bytes, at) - 0x80000000;
  if (at + 8 > end) return INCOMPLETE;
  const high = uint32(bytes, at) - 0xc0000000;
  return high > 0x1fffff ? Number.POSITIVE_INFINITY : high * 0x100000000 + uint32(bytes, at + 4);
}

/** Writes `value` in its shortest form; returns the offset after it. The room must be there. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  switch (varintSize(value)) {
    case 1:
      bytes[at] = value;
      return at + 1;
    case 2:
      bytes[at] = 0x40 | (value >> 8);
      bytes[at + 1] = value;
      return at + 2;
    case 4:
      bytes[at] = 0x80 | (value >>> 24);
      bytes[at + 1] = value >>> 16;
      bytes[at + 2] = value >>> 8;
      bytes[at + 3] = value;
      return at + 4;
    default: {
      const high = Math.floor(value / 0x100000000);
      const low = value >>> 0;
      bytes[at] = 0xc0 | (high >>> 24);
      bytes[at + 1] = high >>> 16;
      bytes[at + 2] = high >>> 8;
      bytes[at + 3] = high;
      bytes[at + 4] = low >>> 24;
      bytes[at + 5] = low >>> 16;
      bytes[at + 6] = low >>> 8;
      bytes[at + 7] = low;
      return at + 8;
    }
  }
}

const NONE = new Uint8Array(0);

/** The bytes of one varint. */
export function encodeVarint(value: number): Uint8Array {
  const bytes = new Uint8Array(varintSize(value));
  writeVarint(bytes, 0, value);
  return bytes;
}

/**
 * Reads one varint after another out of pieces that may split them anywhere. A class because there are thousands.
 */
export class VarintReader {
  /** The last whole value. */
  value = 0;
  /** The bytes of a varint that a piece has split, and how many there are. */
  private held: Uint8Array | undefined;
  private have = 0;

  /** True between the first and the last byte of a varint. */
  get partial(): boolean {
    return this.have > 0;
  }

  /** What has come of one that is not whole; valid until the next call. */
  get pending(): Uint8Array {
    return this.held?.subarray(0, this.have) ?? NONE;
  }

  /** Takes bytes up to the end of one varint; returns the offset after it, or `INCOMPLETE` when it took all. */
  read(bytes: Uint8Array, start: number, end: number): number {
    if (start >= end) return INCOMPLETE;
    if (this.have === 0) {
      const whole = readVarint(bytes, start, end);
      if (whole !== INCOMPLETE) {
        this.value = whole;
        return start + varintLength(bytes[start] ?? 0);
      }
    }
    const held = this.held ?? new Uint8Array(8);
    this.held = held;
    let at = start;
    while (at < end) {
      held[this.have++] = bytes[at++] ?? 0;
      if (this.have === varintLength(held[0] ?? 0)) {
        this.value = readVarint(held, 0, this.have);
        this.have = 0;
        return at;
      }
    }
    return INCOMPLETE;
  }
}
