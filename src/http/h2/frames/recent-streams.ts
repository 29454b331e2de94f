import { Line, type Place } from '../../../tables/line.js';
import { NumberTable } from '../../../tables/number-table.js';

/** Streams that ended by a reset a while ago, of which frames may still be on their way; the oldest are forgotten. */
export interface RecentStreams {
  add(id: number): void;
  has(id: number): boolean;
}

/** As many as may be reset in one burst. */
const MOST = 4_096;

export function createRecentStreams(): RecentStreams {
  const places = new NumberTable<Place<number>>();
  const ids = new Line<number>();
  return {
    add(id) {
      const before = places.get(id);
      if (before) ids.leave(before);
      places.set(id, ids.join(id));
      const { first } = ids;
      if (ids.size <= MOST || first === undefined) return;
      ids.leaveFirst();
      places.delete(first);
    },
    has: (id) => places.has(id),
  };
}
