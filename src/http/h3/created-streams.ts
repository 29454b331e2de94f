/**
 * Which of the peer's request streams were ever there, by quarter stream id: a datagram for one that was is
 * late, for another it is early (RFC 9297 section 2.1).
 */
export interface CreatedStreams {
  add(quarterStreamId: number): void;
  has(quarterStreamId: number): boolean;
  /** One above the highest that was there. */
  readonly next: number;
}

/** Streams passed over while a higher one came first; more are taken to have been there. */
const MOST_GAPS = 4096;

export function createCreatedStreams(): CreatedStreams {
  const gaps = new Set<number>();
  const created: CreatedStreams & { next: number } = {
    next: 0,
    add(id) {
      if (id < created.next) {
        gaps.delete(id);
        return;
      }
      for (let gap = created.next; gap < id && gaps.size < MOST_GAPS; gap++) gaps.add(gap);
      created.next = id + 1;
    },
    has: (id) => id < created.next && !gaps.has(id),
  };
  return created;
}
