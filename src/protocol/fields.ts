/** Header fields in order; names in lower case, no pseudo-headers. */
export type Fields = readonly (readonly [name: string, value: string])[];

/** All values of a field, in order. */
export function fieldValues(fields: Fields, name: string): string[] {
  const values: string[] = [];
  for (const [key, value] of fields) if (key === name) values.push(value);
  return values;
}

/** The value of a field that must not be repeated; undefined when absent or sent more than once. */
export function singleField(fields: Fields, name: string): string | undefined {
  let found: string | undefined;
  for (const [key, value] of fields) {
    if (key !== name) continue;
    if (found !== undefined) return undefined;
    found = value;
  }
  return found;
}

/** Size of a field section, bytes, as settings count it (RFC 9114 section 4.2.2, RFC 9113 section 6.5.2). */
export function fieldSectionSize(fields: Fields): number {
  let size = 0;
  for (const [name, value] of fields) size += name.length + value.length + 32;
  return size;
}
