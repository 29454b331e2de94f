import { Line, type Place } from '../tables/line.js';

/** Finds what belongs to a session that is gone, without a walk over the others. */
export interface GoneSessions<T> {
  /** What this returns is what `unwatch` wants. */
  watch(signal: AbortSignal, thing: T): Place<T>;
  unwatch(signal: AbortSignal, place: Place<T>): void;
}

interface Watched<T> {
  readonly things: Line<T>;
  readonly listener: () => void;
}

/** One listener for each signal, however many things it stands for; `gone` is told of each of them. */
export function createGoneSessions<T>(gone: (thing: T) => void): GoneSessions<T> {
  // Entries stay as long as their signal: a Map in which one key comes and goes among many becomes slow.
  const watched = new WeakMap<AbortSignal, Watched<T>>();
  return {
    watch(signal, thing) {
      let entry = watched.get(signal);
      if (!entry) {
        const things = new Line<T>();
        entry = {
          things,
          listener() {
            const all = [...things];
            things.clear();
            for (const one of all) gone(one);
          },
        };
        watched.set(signal, entry);
      }
      const place = entry.things.join(thing);
      if (entry.things.size === 1) signal.addEventListener('abort', entry.listener, { once: true });
      return place;
    },
    unwatch(signal, place) {
      const entry = watched.get(signal);
      if (!entry?.things.leave(place) || entry.things.size > 0) return;
      signal.removeEventListener('abort', entry.listener);
    },
  };
}
