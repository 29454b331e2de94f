type Line = readonly [name: string, value: string];

/** What an entry counts besides its bytes (RFC 7541 section 4.1). */
const OVERHEAD = 32;

/** The dynamic table of one direction of a connection (RFC 7541 section 2.3.2). */
export interface DynamicTable {
  /** Bytes of all entries, as RFC 7541 section 4.1 counts them. */
  readonly size: number;
  /** The entry added `age` entries ago: 0 is the newest. */
  at(age: number): Line | undefined;
  /** Makes room, and adds it; one larger than the table only empties it (RFC 7541 section 4.4). */
  add(line: Line): void;
  /** A new maximum; entries are evicted to fit. */
  resize(maximum: number): void;
}

export function createDynamicTable(maximum: number): DynamicTable {
  /** A ring whose length is a power of two. */
  let ring: (Line | undefined)[] = [];
  let newest = 0;
  let count = 0;
  let most = maximum;

  const slot = (age: number): number => (newest - age) & (ring.length - 1);
  const sizeOf = ([name, value]: Line): number => name.length + value.length + OVERHEAD;
  const evictTo = (limit: number): void => {
    while (table.size > limit && count > 0) {
      const oldest = slot(count - 1);
      const line = ring[oldest];
      ring[oldest] = undefined;
      count -= 1;
      if (line) table.size -= sizeOf(line);
    }
  };
  const grow = (): void => {
    const larger: (Line | undefined)[] = new Array(Math.max(8, ring.length * 2)).fill(undefined);
    for (let age = 0; age < count; age++) larger[count - 1 - age] = ring[slot(age)];
    ring = larger;
    newest = count - 1;
  };

  const table: DynamicTable & { size: number } = {
    size: 0,
    at: (age) => (age < count ? ring[slot(age)] : undefined),
    add(line) {
      const bytes = sizeOf(line);
      evictTo(Math.max(0, most - bytes));
      if (bytes > most) return;
      if (count === ring.length) grow();
      newest = (newest + 1) & (ring.length - 1);
      ring[newest] = line;
      count += 1;
      table.size += bytes;
    },
    resize(limit) {
      most = limit;
      evictTo(limit);
    },
  };
  return table;
}
