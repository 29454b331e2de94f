import type { Fields } from '../fields.js';
import { H3Error } from '../h3-error.js';
import { type Cursor, readPrefixInteger } from '../prefix-integer.js';
import { readString } from '../string-literal.js';
import { staticTable } from './static-table.js';

function failed(detail: string): H3Error {
  return new H3Error('QPACK_DECOMPRESSION_FAILED', detail);
}

function integer(cursor: Cursor, prefixBits: number): number {
  const value = readPrefixInteger(cursor, prefixBits);
  if (value === undefined) throw failed('an integer cut short or too large');
  return value;
}

function string(cursor: Cursor, prefixBits: number): string {
  const text = readString(cursor, prefixBits);
  if (text === undefined) throw failed('a string cut short, or with a wrong Huffman code');
  return text;
}

function staticEntry(index: number): readonly [string, string] {
  const entry = staticTable[index];
  if (!entry) throw failed(`static table index ${index}`);
  return entry;
}

/** Insert count and base, which without a dynamic table are zero (RFC 9204 section 4.5.1). */
function prefix(cursor: Cursor): void {
  if (integer(cursor, 8) !== 0) throw failed('a reference to the dynamic table, which has no room');
  const negative = ((cursor.bytes[cursor.at] ?? 0) & 0x80) !== 0;
  integer(cursor, 7);
  // RFC 9204 section 4.5.1.2: the base must not be negative.
  if (negative) throw failed('a negative base');
}

function line(cursor: Cursor): readonly [string, string] {
  const first = cursor.bytes[cursor.at] ?? 0;
  // Indexed field line: 1 T index(6).
  if (first >= 0x80) {
    if ((first & 0x40) === 0) throw failed('a reference to the dynamic table');
    return staticEntry(integer(cursor, 6));
  }
  // Literal field line with name reference: 0 1 N T index(4).
  if (first >= 0x40) {
    if ((first & 0x10) === 0) throw failed('a reference to the dynamic table');
    const [name] = staticEntry(integer(cursor, 4));
    return [name, string(cursor, 7)];
  }
  // Literal field line with literal name: 0 0 1 N H length(3).
  if (first >= 0x20) {
    const name = string(cursor, 3);
    return [name, string(cursor, 7)];
  }
  throw failed('a post-base reference to the dynamic table');
}

/**
 * Decodes one field section (RFC 9204 section 4.5) of a peer that was allowed no dynamic table
 * (SETTINGS_QPACK_MAX_TABLE_CAPACITY 0, the default). Bytes become characters U+0000 to U+00FF.
 *
 * `maxSize` counts as RFC 9114 section 4.2.2 does: names, values and 32 for each line. Throws `H3Error`:
 * QPACK_DECOMPRESSION_FAILED for the connection, H3_EXCESSIVE_LOAD for the stream when over `maxSize`.
 */
export function decodeFieldSection(bytes: Uint8Array, start: number, end: number, maxSize: number): Fields {
  const cursor: Cursor = { bytes, at: start, end };
  const fields: (readonly [string, string])[] = [];
  let size = 0;
  prefix(cursor);
  while (cursor.at < end) {
    const field = line(cursor);
    size += field[0].length + field[1].length + 32;
    if (size > maxSize) {
      throw new H3Error('H3_EXCESSIVE_LOAD', `a field section over ${maxSize} bytes`, 'stream');
    }
    fields.push(field);
  }
  return fields;
}
