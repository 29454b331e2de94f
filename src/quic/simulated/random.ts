/** A number in [0, 1) from a seeded sequence. */
export type Random = () => number;

/** The same seed gives the same sequence (a 32-bit xorshift-multiply mix of a Weyl sequence). */
export function seededRandom(seed: number): Random {
  let weyl = seed >>> 0;
  return () => {
    weyl = (weyl + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(weyl ^ (weyl >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 0x1_0000_0000;
  };
}
