import { H3Error } from '../h3-error.js';

/**
 * Reads the peer's encoder stream where no dynamic table was allowed. The only instruction without an error
 * sets the capacity to 0 (RFC 9204 section 4.3.1); throws `H3Error` QPACK_ENCODER_STREAM_ERROR for all else.
 */
export function checkEncoderStream(bytes: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === 0x20) continue;
    const what =
      byte >= 0x20 && byte < 0x40 ? 'a capacity above the limit of 0' : 'an insertion into no room';
    throw new H3Error('QPACK_ENCODER_STREAM_ERROR', what);
  }
}

/** Reads the peer's decoder stream, whose bytes may be split anywhere. */
export interface DecoderStreamReader {
  /** Throws `H3Error` QPACK_DECODER_STREAM_ERROR. */
  push(bytes: Uint8Array, start: number, end: number): void;
}

/** Continuation bytes of a stream id of 62 bits behind a 6-bit prefix. */
const MAX_CONTINUATION = 9;

/**
 * For an encoder that uses no dynamic table: a stream cancellation means nothing to it and is passed over
 * (RFC 9204 section 4.4.2); there is nothing to acknowledge (section 4.4.1) and no insert to count (4.4.3).
 */
export function createDecoderStreamReader(): DecoderStreamReader {
  /** Continuation bytes read of the current stream id; -1 between instructions. */
  let continuation = -1;
  return {
    push(bytes, start, end) {
      for (let at = start; at < end; at++) {
        const byte = bytes[at] ?? 0;
        if (continuation >= 0) {
          if (byte < 0x80) continuation = -1;
          else if (++continuation >= MAX_CONTINUATION) {
            throw new H3Error('QPACK_DECODER_STREAM_ERROR', 'a stream id that is too large');
          }
          continue;
        }
        if (byte >= 0x80) {
          throw new H3Error(
            'QPACK_DECODER_STREAM_ERROR',
            'acknowledges a section that needed no acknowledgment',
          );
        }
        if (byte < 0x40)
          throw new H3Error('QPACK_DECODER_STREAM_ERROR', 'counts inserts that were never made');
        if ((byte & 0x3f) === 0x3f) continuation = 0;
      }
    },
  };
}
