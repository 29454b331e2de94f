/** One who stands in a line; known to the line alone. */
export interface Place<Value> {
  value: Value | undefined;
  before: Place<Value> | undefined;
  after: Place<Value> | undefined;
}

/**
 * Values in the order in which they came, any of which may leave at any time. What has left is linked to nothing: a
 * `Set` would keep a trail of its tables, as `NumberTable` says.
 */
export class Line<Value> {
  #first: Place<Value> | undefined;
  #last: Place<Value> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Who has been here for longest. */
  get first(): Value | undefined {
    return this.#first?.value;
  }

  /** At the end; what this returns is what `leave` wants. */
  join(value: Value): Place<Value> {
    const place: Place<Value> = { value, before: this.#last, after: undefined };
    if (this.#last) this.#last.after = place;
    else this.#first = place;
    this.#last = place;
    this.#size += 1;
    return place;
  }

  /** False for one who has left before. */
  leave(place: Place<Value>): boolean {
    if (place.value === undefined) return false;
    const { before, after } = place;
    if (before) before.after = after;
    else this.#first = after;
    if (after) after.before = before;
    else this.#last = before;
    place.value = undefined;
    place.before = undefined;
    place.after = undefined;
    this.#size -= 1;
    return true;
  }

  /** Who is there now; changes while it is read are not followed. */
  [Symbol.iterator](): Iterator<Value> {
    const all: Value[] = [];
    for (let place = this.#first; place; place = place.after) all.push(place.value as Value);
    return all[Symbol.iterator]();
  }

  leaveFirst(): void {
    if (this.#first) this.leave(this.#first);
  }

  clear(): void {
    while (this.#first) this.leave(this.#first);
  }
}
