import type { Clock, Timer } from '../clock/clock.js';

/** Things that are each given the same time, with one timer for all of them. */
export interface ExpiryQueue<T> {
  add(thing: T): void;
  /** False when it was not there, or its time is over. */
  remove(thing: T): boolean;
  clear(): void;
}

/** `time` in milliseconds. */
export function createExpiryQueue<T>(
  clock: Clock,
  time: number,
  expired: (thing: T) => void,
): ExpiryQueue<T> {
  const due = new Map<T, number>();
  let timer: Timer | undefined;
  let looking = false;

  const arm = (): void => {
    const first = due.values().next().value;
    if (looking || timer || first === undefined) return;
    timer = clock.setTimeout(look, Math.max(0, first - clock.now()));
    timer.unref();
  };
  const look = (): void => {
    timer = undefined;
    looking = true;
    for (const [thing, at] of due) {
      if (at > clock.now()) break;
      due.delete(thing);
      expired(thing);
    }
    looking = false;
    arm();
  };
  const stopWhenEmpty = (): void => {
    if (due.size > 0) return;
    clock.clearTimeout(timer);
    timer = undefined;
  };

  return {
    add(thing) {
      due.set(thing, clock.now() + time);
      arm();
    },
    remove(thing) {
      const was = due.delete(thing);
      stopWhenEmpty();
      return was;
    },
    clear() {
      due.clear();
      stopWhenEmpty();
    },
  };
}
