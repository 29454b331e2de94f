import type { Clock, Timer } from '../clock/clock.js';

/** Looks per idle time: the end comes between one and one and a quarter idle times after the last activity. */
const LOOKS = 4;

/**
 * Calls `idle` once `activity` (a counter that grows) has stood still for `milliseconds`. It looks at the
 * counter now and then, so that a packet costs no timer. Returns what stops it.
 */
export function watchIdle(
  clock: Clock,
  milliseconds: number,
  activity: () => number,
  idle: () => void,
): () => void {
  let seen = activity();
  let quiet = 0;
  let timer: Timer;
  const look = (): void => {
    const now = activity();
    quiet = now === seen ? quiet + 1 : 0;
    seen = now;
    if (quiet >= LOOKS) idle();
    else timer = clock.setTimeout(look, milliseconds / LOOKS);
  };
  timer = clock.setTimeout(look, milliseconds / LOOKS);
  return () => clock.clearTimeout(timer);
}
