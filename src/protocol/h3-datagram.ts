import { H3Error } from './h3-error.js';
import { encodeVarint, readVarint, varintLength } from './varint.js';

/**
 * The quarter stream id that an HTTP/3 datagram begins with (RFC 9297 section 2.1); the payload starts
 * `varintLength(bytes[start])` bytes after `start`. `Infinity` for an id from 2^53 on, which no stream here can
 * have. Throws `H3Error` H3_DATAGRAM_ERROR when there is none, or it is above 2^60 - 1.
 */
export function readQuarterStreamId(bytes: Uint8Array, start: number, end: number): number {
  const first = bytes[start] ?? 0;
  if (start >= end || start + varintLength(first) > end) {
    throw new H3Error('H3_DATAGRAM_ERROR', 'a datagram too short for a quarter stream id');
  }
  // The two bits that 2^60 - 1 leaves clear in the 62 of an 8-byte varint.
  if (first >= 0xc0 && (first & 0x30) !== 0) {
    throw new H3Error('H3_DATAGRAM_ERROR', 'a quarter stream id above 2^60 - 1');
  }
  return readVarint(bytes, start, end);
}

/** The prefix of every HTTP/3 datagram of the request stream with this id. */
export function quarterStreamIdPrefix(streamId: number): Uint8Array {
  return encodeVarint(Math.floor(streamId / 4));
}
