/** Bytes that came and that their reader has no credit for yet, first byte first. */
export interface HeldBytes {
  readonly length: number;
  /** Keeps them as they are: a view that is not valid for long has to be copied before. */
  add(bytes: Buffer): void;
  /** The first of them, up to `most`, where there are any. */
  take(most: number): Buffer | undefined;
  takeAll(): Buffer[];
  /** A copy of all. */
  joined(): Buffer;
}

export function createHeldBytes(first: readonly Buffer[] = []): HeldBytes {
  let chunks = first.filter((bytes) => bytes.length > 0);
  const held: HeldBytes & { length: number } = {
    length: chunks.reduce((sum, bytes) => sum + bytes.length, 0),
    add(bytes) {
      chunks.push(bytes);
      held.length += bytes.length;
    },
    take(most) {
      const [bytes] = chunks;
      if (!bytes || most <= 0) return undefined;
      const taken = bytes.subarray(0, most);
      if (taken.length === bytes.length) chunks.shift();
      else chunks[0] = bytes.subarray(most);
      held.length -= taken.length;
      return taken;
    },
    takeAll() {
      const all = chunks;
      chunks = [];
      held.length = 0;
      return all;
    },
    joined: () => Buffer.concat(chunks, held.length),
  };
  return held;
}
