import { H2Error } from '../../../protocol/h2-error.js';
import { h2Flags } from '../../../protocol/h2-frame.js';

/** Joins HEADERS and CONTINUATION (RFC 9113 section 4.3). */
export interface HeaderBlocks {
  /** The stream whose block is not whole yet; 0 between blocks. */
  readonly open: number;
  /** The payload of a HEADERS frame. Throws `H2Error`. */
  begin(stream: number, flags: number, payload: Uint8Array): void;
  /** That of a CONTINUATION frame. Throws `H2Error`. */
  go(flags: number, payload: Uint8Array): void;
}

/** Frames for a block of no bytes; one more for each KiB that it may have. */
const FEWEST_FRAMES = 16;

/** `whole` is told each block; of its beginning and end the views are valid only during the call. */
export function createHeaderBlocks(
  largest: number,
  whole: (stream: number, block: Uint8Array, endStream: boolean) => void,
): HeaderBlocks {
  const mostFrames = FEWEST_FRAMES + largest / 1024;
  const parts: Uint8Array[] = [];
  let size = 0;
  let frames = 0;
  let endStream = false;

  const add = (flags: number, part: Uint8Array): void => {
    size += part.length;
    frames += 1;
    if (size > largest || frames > mostFrames) {
      throw new H2Error('ENHANCE_YOUR_CALM', 'a header block that is too large');
    }
    if ((flags & h2Flags.END_HEADERS) === 0) {
      // The bytes are valid only now.
      parts.push(new Uint8Array(part));
      return;
    }
    const block = parts.length === 0 ? part : Buffer.concat([...parts, part]);
    const stream = blocks.open;
    parts.length = 0;
    blocks.open = 0;
    whole(stream, block, endStream);
  };

  const blocks: HeaderBlocks & { open: number } = {
    open: 0,
    begin(stream, flags, payload) {
      let start = 0;
      let end = payload.length;
      if ((flags & h2Flags.PADDED) !== 0) {
        end -= payload[0] ?? 0;
        start = 1;
      }
      // Its priority means nothing here (RFC 9113 section 5.3.2).
      if ((flags & h2Flags.PRIORITY) !== 0) start += 5;
      // RFC 9113 section 6.2: as in DATA.
      if (start > end) throw new H2Error('PROTOCOL_ERROR', 'more padding than payload');
      blocks.open = stream;
      size = 0;
      frames = 0;
      endStream = (flags & h2Flags.END_STREAM) !== 0;
      add(flags, payload.subarray(start, end));
    },
    go: add,
  };
  return blocks;
}
