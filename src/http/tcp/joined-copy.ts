/** `head[0, headEnd)` and `body[start, end)` in one buffer of its own. */
export function joinedCopy(
  head: Uint8Array,
  headEnd: number,
  body: Uint8Array,
  start: number,
  end: number,
): Buffer {
  const joined = Buffer.allocUnsafe(headEnd + end - start);
  joined.set(head.subarray(0, headEnd), 0);
  joined.set(body.subarray(start, end), headEnd);
  return joined;
}
