import type { Clock, Timer } from '../../clock/clock.js';

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** Runs everything of a simulated network from one timer, in order of time and then of asking. */
export interface Scheduler {
  now(): number;
  /** Never runs before this returns, whatever the delay. */
  after(milliseconds: number, run: () => void): void;
  /** Things that wait to run. */
  readonly pending: number;
}

const earlier = (one: Entry, other: Entry): boolean =>
  one.at < other.at || (one.at === other.at && one.order < other.order);

export function createScheduler(clock: Clock): Scheduler {
  const heap: Entry[] = [];
  let order = 0;
  let timer: Timer | undefined;
  let timerAt = Number.POSITIVE_INFINITY;
  let draining = false;

  const push = (entry: Entry): void => {
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const up = (index - 1) >> 1;
      const parent = heap[up];
      if (!parent || !earlier(entry, parent)) break;
      heap[index] = parent;
      heap[up] = entry;
      index = up;
    }
  };
  const pop = (): void => {
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      let least = heap[child];
      const right = heap[child + 1];
      if (least && right && earlier(right, least)) {
        least = right;
        child += 1;
      }
      if (!least || !earlier(least, last)) break;
      heap[index] = least;
      index = child;
    }
    heap[index] = last;
  };
  const arm = (): void => {
    const first = heap[0];
    if (draining || !first || first.at >= timerAt) return;
    clock.clearTimeout(timer);
    timerAt = first.at;
    timer = clock.setTimeout(drain, Math.max(0, first.at - clock.now()));
  };
  // What is asked for during a drain waits for the next one, so that no drain is endless.
  const drain = (): void => {
    timer = undefined;
    timerAt = Number.POSITIVE_INFINITY;
    draining = true;
    const limit = order;
    const now = clock.now();
    try {
      for (let first = heap[0]; first && first.at <= now && first.order < limit; first = heap[0]) {
        pop();
        first.run();
      }
    } finally {
      draining = false;
      arm();
    }
  };

  return {
    now: () => clock.now(),
    after(milliseconds, run) {
      push({ at: clock.now() + Math.max(0, milliseconds), order: order++, run });
      arm();
    },
    get pending() {
      return heap.length;
    },
  };
}
