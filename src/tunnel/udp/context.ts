/** Largest UDP payload that context 0 may carry (RFC 9298 section 5). */
export const MAX_UDP_PAYLOAD = 65_527;

/** Context id 0 in front of a payload: the shortest encoding of the variable-length integer 0. */
export const CONTEXT_ZERO: Uint8Array = Uint8Array.of(0);

/** What `payloadStart` says of an HTTP datagram that carries no UDP payload for us. */
export const UNKNOWN_CONTEXT = -1;
/** The HTTP datagram is too short to hold its context id. */
export const TRUNCATED_CONTEXT = -2;

/**
 * Where the UDP payload of an HTTP datagram begins (RFC 9298 section 5), or `UNKNOWN_CONTEXT` or
 * `TRUNCATED_CONTEXT`. The id may be in any of the four lengths of a variable-length integer
 * (RFC 9000 section 16).
 */
export function payloadStart(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end) return TRUNCATED_CONTEXT;
  const first = bytes[start] ?? 0;
  if (first === 0) return start + 1;
  const length = 1 << (first >> 6);
  if (end - start < length) return TRUNCATED_CONTEXT;
  if ((first & 0x3f) !== 0) return UNKNOWN_CONTEXT;
  for (let index = start + 1; index < start + length; index++) {
    if (bytes[index] !== 0) return UNKNOWN_CONTEXT;
  }
  return start + length;
}
