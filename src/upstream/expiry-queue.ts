import type { Clock, Timer } from '../clock/clock.js';
import { Line, type Place } from '../tables/line.js';

/** Things that are each given the same time, with one timer for all of them. */
export interface ExpiryQueue<T> {
  /** What this returns is what `remove` wants. */
  add(thing: T): Place<Expiring<T>>;
  /** False when it was not there, or its time is over. */
  remove(place: Place<Expiring<T>>): boolean;
  clear(): void;
}

export interface Expiring<T> {
  readonly thing: T;
  readonly at: number;
}

/** `time` in milliseconds. */
export function createExpiryQueue<T>(
  clock: Clock,
  time: number,
  expired: (thing: T) => void,
): ExpiryQueue<T> {
  const due = new Line<Expiring<T>>();
  let timer: Timer | undefined;
  let looking = false;

  const arm = (): void => {
    const { first } = due;
    if (looking || timer || !first) return;
    timer = clock.setTimeout(look, Math.max(0, first.at - clock.now()));
    timer.unref();
  };
  const look = (): void => {
    timer = undefined;
    looking = true;
    for (let first = due.first; first && first.at <= clock.now(); first = due.first) {
      due.leaveFirst();
      expired(first.thing);
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
      const place = due.join({ thing, at: clock.now() + time });
      arm();
      return place;
    },
    remove(place) {
      const was = due.leave(place);
      stopWhenEmpty();
      return was;
    },
    clear() {
      due.clear();
      stopWhenEmpty();
    },
  };
}
