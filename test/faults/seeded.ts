/** Numbers that are the same for the same seed, so that a failure can be had again. */
export interface Seeded {
  /** From 0 up to, and not with, `bound`. */
  below(bound: number): number;
  bytes(length: number): Buffer;
}

export function seeded(seed: number): Seeded {
  let state = seed >>> 0 || 1;
  const next = (): number => {
    // xorshift of 32 bits
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
  return {
    below: (bound) => next() % bound,
    bytes(length) {
      const bytes = Buffer.alloc(length);
      for (let index = 0; index < length; index++) bytes[index] = next() >>> 24;
      return bytes;
    },
  };
}
