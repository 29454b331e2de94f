import type { Clock } from '../../src/clock/clock.js';
import { systemClock } from '../../src/clock/system-clock.js';

/** Time passes at an eighth of its pace. */
const SLOWER = 8;
/** What Node's timers take at most. */
const LONGEST = 2 ** 31 - 1;

/**
 * A clock for tests of who wins a race: the head starts become so long that a busy machine does not decide it.
 * It can be put forward.
 */
export function slowClock(): Clock & { skip(milliseconds: number): void } {
  let ahead = 0;
  return {
    now: () => systemClock.now() / SLOWER + ahead,
    setTimeout: (callback, milliseconds) =>
      systemClock.setTimeout(callback, Math.min(LONGEST, milliseconds * SLOWER)),
    clearTimeout: (timer) => systemClock.clearTimeout(timer),
    skip(milliseconds) {
      ahead += milliseconds;
    },
  };
}
