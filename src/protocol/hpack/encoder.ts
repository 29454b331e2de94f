import type { Fields } from '../fields.js';
import { writePrefixInteger } from '../prefix-integer.js';
import { sensitiveFields } from '../sensitive-fields.js';
import { LENGTH_BYTES, writeString } from '../string-literal.js';
import { staticIndices } from './static-table.js';

/** Encodes the field sections of one direction of a connection, in order (RFC 7541). */
export interface HpackEncoder {
  /** Throws `RangeError` for a character above U+00FF; nothing is changed then. */
  encode(fields: Fields): Uint8Array;
}

/** Dynamic table size update to 0 (RFC 7541 section 6.3). */
const NO_TABLE = 0x20;

function writeLine(to: Buffer, at: number, name: string, value: string): number {
  const known = staticIndices.get(name);
  const index = known?.values.get(value);
  if (index !== undefined) return writePrefixInteger(to, at, 0x80, 7, index);
  // RFC 7541 section 6.2.3: never to be indexed; section 6.2.2: not indexed here.
  const first = sensitiveFields.has(name) ? 0x10 : 0x00;
  const next = writePrefixInteger(to, at, first, 4, known?.index ?? 0);
  return writeString(to, known ? next : writeString(to, next, 0, 7, name), 0, 7, value);
}

/**
 * An encoder that uses the static table and literals only. The first block gives the dynamic table up, so that no
 * later SETTINGS_HEADER_TABLE_SIZE of the peer asks for anything (RFC 9113 section 4.3.1).
 */
export function createHpackEncoder(): HpackEncoder {
  let begun = false;
  return {
    encode(fields) {
      let room = 1;
      for (const [name, value] of fields) room += name.length + value.length + 1 + 2 * LENGTH_BYTES;
      const to = Buffer.allocUnsafe(room);
      let at = 0;
      if (!begun) to[at++] = NO_TABLE;
      for (const [name, value] of fields) at = writeLine(to, at, name, value);
      begun = true;
      return to.subarray(0, at);
    },
  };
}
