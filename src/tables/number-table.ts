/** Slots at first; always a power of two. */
const FEWEST = 8;
const EMPTY = -1;

const high = 2 ** 32;

/**
 * What is known by a number that is a whole one from 0 on, where numbers come and go all the time.
 *
 * A `Map` links each of its tables to the one that it grows or shrinks into. Once one of them is old, all later ones,
 * and what was in them, stay in memory until the next full collection, and each young collection has to go through
 * them: a tunnel cost a fifth more time because its streams were in such. This one leaves no trail.
 */
export class NumberTable<Value> {
  #size = 0;
  #keys: number[] = new Array<number>(FEWEST).fill(EMPTY);
  #values: (Value | undefined)[] = new Array<Value | undefined>(FEWEST).fill(undefined);

  get size(): number {
    return this.#size;
  }

  get(key: number): Value | undefined {
    return this.#values[this.#slotOf(key)];
  }

  has(key: number): boolean {
    return key >= 0 && this.#keys[this.#slotOf(key)] === key;
  }

  set(key: number, value: Value): void {
    if (!(key >= 0)) throw new RangeError(`${key} is not a number of this table`);
    let slot = this.#slotOf(key);
    if (this.#keys[slot] !== key) {
      // At most three quarters are taken, so that the ways stay short.
      if (4 * (this.#size + 1) > 3 * this.#keys.length) {
        this.#grow();
        slot = this.#slotOf(key);
      }
      this.#size += 1;
      this.#keys[slot] = key;
    }
    this.#values[slot] = value;
  }

  delete(key: number): boolean {
    let hole = this.#slotOf(key);
    if (key < 0 || this.#keys[hole] !== key) return false;
    this.#size -= 1;
    // What stands behind moves up, unless it would come before its own place.
    const mask = this.#keys.length - 1;
    for (let slot = (hole + 1) & mask; this.#keys[slot] !== EMPTY; slot = (slot + 1) & mask) {
      const moved = this.#keys[slot] as number;
      if (((slot - this.#home(moved)) & mask) < ((slot - hole) & mask)) continue;
      this.#keys[hole] = moved;
      this.#values[hole] = this.#values[slot];
      hole = slot;
    }
    this.#keys[hole] = EMPTY;
    this.#values[hole] = undefined;
    return true;
  }

  clear(): void {
    this.#size = 0;
    this.#keys.fill(EMPTY);
    this.#values.fill(undefined);
  }

  /** What is there now, by ascending number; changes while it is read are not followed. */
  values(): Value[] {
    const keys = this.#keys.filter((key) => key !== EMPTY).sort((a, b) => a - b);
    return keys.map((key) => this.get(key) as Value);
  }

  /** Where the key is, or the empty slot where it would be. */
  #slotOf(key: number): number {
    const keys = this.#keys;
    const mask = keys.length - 1;
    let slot = this.#home(key);
    while (keys[slot] !== key && keys[slot] !== EMPTY) slot = (slot + 1) & mask;
    return slot;
  }

  /** Numbers of one kind differ in their upper bits or in their lower ones; multiplying spreads both. */
  #home(key: number): number {
    const mixed = Math.imul(key < high ? key : (key % high) ^ Math.floor(key / high), 0x9e3779b1);
    return (mixed ^ (mixed >>> 15)) & (this.#keys.length - 1);
  }

  #grow(): void {
    const [keys, values] = [this.#keys, this.#values];
    this.#keys = new Array<number>(2 * keys.length).fill(EMPTY);
    this.#values = new Array<Value | undefined>(2 * keys.length).fill(undefined);
    for (const [from, key] of keys.entries()) {
      if (key === EMPTY) continue;
      const slot = this.#slotOf(key);
      this.#keys[slot] = key;
      this.#values[slot] = values[from];
    }
  }
}
