import type { Fields } from '../fields.js';
import { H2Error } from '../h2-error.js';
import { type Cursor, readPrefixInteger } from '../prefix-integer.js';
import { readString } from '../string-literal.js';
import { createDynamicTable } from './dynamic-table.js';
import { staticTable } from './static-table.js';

type Line = readonly [name: string, value: string];

/** A field section, or as much of it as fits the limit. */
export interface FieldSection {
  readonly fields: Fields;
  /** It is larger than the limit, and `fields` has only its beginning. */
  readonly oversized: boolean;
}

/** Decodes the field blocks of one direction of a connection, which have to come in order (RFC 7541). */
export interface HpackDecoder {
  /**
   * Decodes a whole block; bytes become characters U+0000 to U+00FF. `maxSize` counts as RFC 9113 section 6.5.2
   * does: names, values and 32 for each line. Throws `H2Error` COMPRESSION_ERROR, which ends the connection.
   */
  decode(bytes: Uint8Array, start: number, end: number, maxSize: number): FieldSection;
}

/** SETTINGS_HEADER_TABLE_SIZE where nothing was said (RFC 9113 section 6.5.2). */
const DEFAULT_TABLE_SIZE = 4096;

function failed(detail: string): H2Error {
  return new H2Error('COMPRESSION_ERROR', detail);
}

function integer(cursor: Cursor, prefixBits: number): number {
  const value = readPrefixInteger(cursor, prefixBits);
  if (value === undefined) throw failed('an integer cut short or too large');
  return value;
}

function string(cursor: Cursor): string {
  const text = readString(cursor, 7);
  if (text === undefined) throw failed('a string cut short, or with a wrong Huffman code');
  return text;
}

/** `tableSize` is this side's SETTINGS_HEADER_TABLE_SIZE, bytes. */
export function createHpackDecoder(tableSize = DEFAULT_TABLE_SIZE): HpackDecoder {
  const table = createDynamicTable(tableSize);

  const entry = (index: number): Line => {
    // RFC 7541 section 2.3.3: the dynamic table follows the static one; section 6.1: index 0 is none.
    const line =
      index <= staticTable.length ? staticTable[index - 1] : table.at(index - staticTable.length - 1);
    if (!line) throw failed(`index ${index} is in no table`);
    return line;
  };
  /** A literal: its name by index, or as a string where that is 0. */
  const literal = (cursor: Cursor, prefixBits: number): Line => {
    const index = integer(cursor, prefixBits);
    const name = index === 0 ? string(cursor) : entry(index)[0];
    return [name, string(cursor)];
  };

  return {
    decode(bytes, start, end, maxSize) {
      const cursor: Cursor = { bytes, at: start, end };
      const fields: Line[] = [];
      let size = 0;
      let begun = false;
      while (cursor.at < end) {
        const first = bytes[cursor.at] ?? 0;
        let line: Line;
        if (first >= 0x80) line = entry(integer(cursor, 7));
        else if (first >= 0x40) {
          line = literal(cursor, 6);
          table.add(line);
        } else if (first >= 0x20) {
          // RFC 7541 section 4.2: at the beginning of a block only.
          if (begun) throw failed('a change of the table size behind a field');
          const wanted = integer(cursor, 5);
          // RFC 7541 section 6.3: not above what was allowed.
          if (wanted > tableSize) throw failed('a dynamic table above the limit');
          table.resize(wanted);
          continue;
        } else line = literal(cursor, 4);
        begun = true;
        // Read on, as what follows may change the table.
        size += line[0].length + line[1].length + 32;
        if (size <= maxSize) fields.push(line);
      }
      return { fields, oversized: size > maxSize };
    },
  };
}
