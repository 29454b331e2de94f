/** A copy of `bytes[start, end)`; unlike `slice`, which shares the memory when `bytes` is a Buffer. */
export function copyBytes(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.subarray(start, end));
}
