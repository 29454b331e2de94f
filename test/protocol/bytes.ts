/** Bytes of hexadecimal text; spaces are ignored. */
export function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Cuts bytes at the given places (taken modulo their number), each piece at an offset of its own buffer. */
export function cut(bytes: Uint8Array, places: readonly number[]): [Uint8Array, number, number][] {
  const sorted = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let from = 0;
  return sorted.map((to) => {
    const piece = new Uint8Array(3 + to - from + 2).fill(0xee);
    piece.set(bytes.subarray(from, to), 3);
    const length = to - from;
    from = to;
    return [piece, 3, 3 + length];
  });
}
