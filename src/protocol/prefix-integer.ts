/** A place in bytes that readers move on. */
export interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;
}

/**
 * Reads an integer with an N-bit prefix (RFC 7541 section 5.1). Undefined when it is cut short or above
 * 2^53 - 1; RFC 9204 section 4.1.1 demands 62 bits, but no length, index or stream id here comes near.
 */
export function readPrefixInteger(cursor: Cursor, prefixBits: number): number | undefined {
  const { bytes, end } = cursor;
  if (cursor.at >= end) return undefined;
  const mask = (1 << prefixBits) - 1;
  let value = (bytes[cursor.at++] ?? 0) & mask;
  if (value < mask) return value;
  let scale = 1;
  while (cursor.at < end) {
    const byte = bytes[cursor.at++] ?? 0;
    value += (byte & 0x7f) * scale;
    if (value > Number.MAX_SAFE_INTEGER) return undefined;
    if (byte < 0x80) return value;
    scale *= 128;
    // More continuation bytes only pad with zeros.
    if (scale > 2 ** 56) return undefined;
  }
  return undefined;
}

/** Writes an integer behind the bits of `first` that precede its prefix; returns the offset after it. */
export function writePrefixInteger(
  bytes: Uint8Array,
  at: number,
  first: number,
  prefixBits: number,
  value: number,
): number {
  const mask = (1 << prefixBits) - 1;
  if (value < mask) {
    bytes[at] = first | value;
    return at + 1;
  }
  let to = at;
  bytes[to++] = first | mask;
  let rest = value - mask;
  while (rest >= 128) {
    bytes[to++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  bytes[to++] = rest;
  return to;
}
