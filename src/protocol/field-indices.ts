type Entries = readonly (readonly [name: string, value: string])[];

/** Where a name stands in a static table. */
export interface NameEntry {
  /** The first index with this name. */
  readonly index: number;
  readonly values: Map<string, number>;
}

/** Indices by name and value of a static table whose first entry has the index `first`. */
export function indicesOf(table: Entries, first: number): ReadonlyMap<string, NameEntry> {
  const names = new Map<string, NameEntry>();
  for (const [place, [name, value]] of table.entries()) {
    const index = first + place;
    const entry = names.get(name);
    if (entry) entry.values.set(value, index);
    else names.set(name, { index, values: new Map([[value, index]]) });
  }
  return names;
}
