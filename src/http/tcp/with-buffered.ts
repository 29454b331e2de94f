class Buffered {
  constructor(private readonly count: () => number) {}

  get buffered(): number {
    return this.count();
  }
}

/**
 * What has `buffered` and else only methods and values. A getter of an object literal is made in V8's old generation,
 * and keeps what it knows of alive there until the next full collection; here it is a class's.
 */
export function withBuffered<Made extends { readonly buffered: number }>(
  count: () => number,
  rest: Omit<Made, 'buffered'>,
): Omit<Made, 'buffered'> & { readonly buffered: number } {
  return Object.assign(new Buffered(count), rest);
}
