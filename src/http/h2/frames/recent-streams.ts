/** Streams that ended by a reset a while ago, of which frames may still be on their way; the oldest are forgotten. */
export interface RecentStreams {
  add(id: number): void;
  has(id: number): boolean;
}

/** As many as may be reset in one burst. */
const MOST = 4_096;

export function createRecentStreams(): RecentStreams {
  const ids = new Set<number>();
  return {
    add(id) {
      ids.delete(id);
      ids.add(id);
      if (ids.size <= MOST) return;
      for (const oldest of ids) {
        ids.delete(oldest);
        return;
      }
    },
    has: (id) => ids.has(id),
  };
}
