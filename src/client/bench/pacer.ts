import type { Clock, Timer } from '../../clock/clock.js';

/** Does something at a rate, until it says that it is enough. */
export interface Pacer {
  stop(): void;
}

const TICK = 1;
/** What was missed while this process was busy is not made up for, beyond this time: it would be a burst. */
const MOST_BEHIND = 10;

/**
 * Calls `step` `perSecond` times a second, in small bursts a millisecond apart, until it gives false. Time that was
 * lost is caught up with for at most 10 ms.
 */
export function createPacer(clock: Clock, perSecond: number, step: () => boolean): Pacer {
  let timer: Timer | undefined;
  let stopped = false;
  let last = clock.now();
  let due = 1;
  const tick = (): void => {
    const now = clock.now();
    due += (Math.min(now - last, MOST_BEHIND) * perSecond) / 1_000;
    last = now;
    for (; due >= 1 && !stopped; due -= 1) if (!step()) stopped = true;
    if (!stopped) timer = clock.setTimeout(tick, TICK);
  };
  timer = clock.setTimeout(tick, 0);
  return {
    stop() {
      stopped = true;
      clock.clearTimeout(timer);
    },
  };
}
