import type { Clock, Timer } from './clock.js';

interface Entry extends Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A clock that stands still until `advance` is called; for tests and the simulated network. */
export interface VirtualClock extends Clock {
  /** Moves time on, running each timer that comes due at its own time, in order. */
  advance(milliseconds: number): void;
  /** As `advance`, letting promises settle between timers. */
  advanceAsync(milliseconds: number): Promise<void>;
  /** Timers that were set and neither fired nor were cleared. */
  readonly pending: number;
}

/** Lets queued promise reactions and immediates run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export function createVirtualClock(start = 0): VirtualClock {
  let time = start;
  let order = 0;
  const entries = new Set<Entry>();

  const next = (limit: number): Entry | undefined => {
    let first: Entry | undefined;
    for (const entry of entries) {
      if (entry.at > limit) continue;
      if (!first || entry.at < first.at || (entry.at === first.at && entry.order < first.order)) {
        first = entry;
      }
    }
    return first;
  };
  const fire = (entry: Entry): void => {
    entries.delete(entry);
    time = Math.max(time, entry.at);
    entry.callback();
  };

  return {
    now: () => time,
    setTimeout(callback, milliseconds) {
      const entry: Entry = {
        at: time + Math.max(0, milliseconds),
        order: order++,
        callback,
        unref: () => undefined,
      };
      entries.add(entry);
      return entry;
    },
    clearTimeout(timer) {
      if (timer) entries.delete(timer as Entry);
    },
    advance(milliseconds) {
      const limit = time + milliseconds;
      for (let entry = next(limit); entry; entry = next(limit)) fire(entry);
      time = limit;
    },
    async advanceAsync(milliseconds) {
      const limit = time + milliseconds;
      await settle();
      for (let entry = next(limit); entry; entry = next(limit)) {
        fire(entry);
        await settle();
      }
      time = limit;
      await settle();
    },
    get pending() {
      return entries.size;
    },
  };
}
