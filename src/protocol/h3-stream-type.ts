/** Types of unidirectional streams (RFC 9114 section 6.2, RFC 9204 section 4.2). */
export const h3StreamTypes = {
  CONTROL: 0x00,
  PUSH: 0x01,
  QPACK_ENCODER: 0x02,
  QPACK_DECODER: 0x03,
} as const;

/** What the stream's type, the varint it begins with, makes of it; `unknown` is to be stopped or drained. */
export function h3StreamKind(
  type: number,
): 'control' | 'push' | 'qpack-encoder' | 'qpack-decoder' | 'unknown' {
  switch (type) {
    case h3StreamTypes.CONTROL:
      return 'control';
    case h3StreamTypes.PUSH:
      return 'push';
    case h3StreamTypes.QPACK_ENCODER:
      return 'qpack-encoder';
    case h3StreamTypes.QPACK_DECODER:
      return 'qpack-decoder';
    default:
      return 'unknown';
  }
}

/** True where the end of the peer's stream ends the connection (RFC 9114 section 6.2.1, RFC 9204 section 4.2). */
export function isCriticalStream(type: number): boolean {
  return (
    type === h3StreamTypes.CONTROL ||
    type === h3StreamTypes.QPACK_ENCODER ||
    type === h3StreamTypes.QPACK_DECODER
  );
}
