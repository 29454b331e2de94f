/** Memory of one size for bytes on their way to a Node stream, used again and again. */
export interface Slabs {
  readonly size: number;
  take(): Buffer;
  give(slab: Buffer): void;
}

/** Keeps up to `most` that are not in use. */
export function createSlabs(most: number, size = 64 * 1024): Slabs {
  const free: Buffer[] = [];
  return {
    size,
    take: () => free.pop() ?? Buffer.allocUnsafeSlow(size),
    give(slab) {
      if (free.length < most) free.push(slab);
    },
  };
}
