import { decodeHuffman, encodeHuffman, huffmanSize } from './huffman.js';
import { type Cursor, readPrefixInteger, writePrefixInteger } from './prefix-integer.js';

/** No prefix integer of a string's length is longer. */
export const LENGTH_BYTES = 6;

/**
 * Writes a string literal (RFC 7541 section 5.2, RFC 9204 section 4.1.2) behind the bits of `first`, Huffman coded
 * where that is shorter; returns the offset after it. Throws `RangeError` for a character above U+00FF.
 */
export function writeString(to: Buffer, at: number, first: number, prefixBits: number, text: string): number {
  const coded = huffmanSize(text);
  if (coded < text.length) {
    const start = writePrefixInteger(to, at, first | (1 << prefixBits), prefixBits, coded);
    return encodeHuffman(text, to, start);
  }
  const start = writePrefixInteger(to, at, first, prefixBits, text.length);
  return start + to.write(text, start, 'latin1');
}

/**
 * Reads a string literal whose Huffman bit stands just above its length's prefix; bytes become characters U+0000
 * to U+00FF. Undefined when it is cut short or wrongly coded.
 */
export function readString(cursor: Cursor, prefixBits: number): string | undefined {
  const { bytes } = cursor;
  const huffman = ((bytes[cursor.at] ?? 0) & (1 << prefixBits)) !== 0;
  const length = readPrefixInteger(cursor, prefixBits);
  const start = cursor.at;
  if (length === undefined || length > cursor.end - start) return undefined;
  cursor.at = start + length;
  if (!huffman) return Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString('latin1');
  const text = Buffer.allocUnsafe(Math.ceil((length * 8) / 5));
  const size = decodeHuffman(bytes, start, start + length, text);
  return size < 0 ? undefined : text.toString('latin1', 0, size);
}
