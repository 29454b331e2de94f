/** Waits between attempts to connect again: 0.5 s, doubling to 30 s, each shortened at random by up to a quarter. */
export interface Backoff {
  /** Milliseconds to wait before the next attempt. */
  next(): number;
  /** Starts from the shortest wait again. */
  reset(): void;
}

const FIRST = 500;
const LONGEST = 30_000;

/** `random` gives numbers from 0 up to 1. */
export function createBackoff(random: () => number): Backoff {
  let wait = FIRST;
  return {
    next() {
      const now = wait;
      wait = Math.min(LONGEST, wait * 2);
      return Math.max(FIRST, Math.round(now * (1 - random() / 4)));
    },
    reset() {
      wait = FIRST;
    },
  };
}
