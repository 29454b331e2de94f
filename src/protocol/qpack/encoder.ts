import type { Fields } from '../fields.js';
import { writePrefixInteger } from '../prefix-integer.js';
import { sensitiveFields } from '../sensitive-fields.js';
import { LENGTH_BYTES, writeString } from '../string-literal.js';
import { staticIndices } from './static-table.js';

function writeLine(to: Buffer, at: number, name: string, value: string): number {
  const known = staticIndices.get(name);
  const index = known?.values.get(value);
  if (index !== undefined) return writePrefixInteger(to, at, 0xc0, 6, index);
  const never = sensitiveFields.has(name);
  const next = known
    ? writePrefixInteger(to, at, never ? 0x70 : 0x50, 4, known.index)
    : writeString(to, at, never ? 0x30 : 0x20, 3, name);
  return writeString(to, next, 0, 7, value);
}

/**
 * Encodes a field section (RFC 9204 section 4.5) with the static table and literals only, so it never waits
 * for the peer and needs no encoder stream. Throws `RangeError` for a character above U+00FF.
 */
export function encodeFieldSection(fields: Fields): Uint8Array {
  let room = 2;
  for (const [name, value] of fields) room += name.length + value.length + 2 * LENGTH_BYTES;
  const to = Buffer.allocUnsafe(room);
  // Required insert count 0, base 0.
  to[0] = 0;
  to[1] = 0;
  let at = 2;
  for (const [name, value] of fields) at = writeLine(to, at, name, value);
  return to.subarray(0, at);
}
