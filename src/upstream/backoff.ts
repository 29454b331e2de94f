import type { Clock } from '../clock/clock.js';

/** How long to leave a hop alone after dials to it have failed; times in milliseconds. */
export interface DialBackoff {
  /** Milliseconds until the next dial; 0 when it may be now. */
  readonly wait: number;
  /** Dials that failed one after the other. */
  readonly failures: number;
  failed(): void;
  succeeded(): void;
}

export interface BackoffTimes {
  /** After the second failure in a row; it doubles with each further one. The first costs nothing. */
  readonly first: number;
  readonly longest: number;
}

/** `random` gives numbers from 0 up to 1; each wait is shortened by up to a quarter. */
export function createDialBackoff(clock: Clock, random: () => number, times: BackoffTimes): DialBackoff {
  let failures = 0;
  let notBefore = Number.NEGATIVE_INFINITY;
  return {
    get wait() {
      return Math.max(0, notBefore - clock.now());
    },
    get failures() {
      return failures;
    },
    failed() {
      failures += 1;
      if (failures < 2) return;
      const wait = Math.min(times.longest, times.first * 2 ** Math.min(30, failures - 2));
      notBefore = clock.now() + wait * (1 - random() / 4);
    },
    succeeded() {
      failures = 0;
      notBefore = Number.NEGATIVE_INFINITY;
    },
  };
}
