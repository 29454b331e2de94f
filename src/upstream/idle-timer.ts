import type { Clock, Timer } from '../clock/clock.js';

/** Tells when nothing was in use for a time. */
export interface IdleTimer {
  /** Milliseconds since it was armed; 0 when it is not. */
  idleFor(): number;
  /** Starts the time anew; replaces a running one. */
  arm(): void;
  /** Something is in use. */
  end(): void;
  /** Nothing is pending any more: an expiry that waited for it happens now. */
  settled(): void;
  stop(): void;
}

export interface IdleTimerOptions {
  readonly clock: Clock;
  /** Milliseconds; 0 and `Infinity` turn it off. */
  readonly time: number;
  /** True while a use is being prepared: an expiry waits until `settled`. */
  readonly pending: () => boolean;
  readonly expired: () => void;
}

export function createIdleTimer(options: IdleTimerOptions): IdleTimer {
  const { clock, time } = options;
  const off = time <= 0 || time === Number.POSITIVE_INFINITY;
  let timer: Timer | undefined;
  let since: number | undefined;
  let due = false;
  let stopped = false;
  /** An expiry of an older arming is stale and does nothing. */
  let generation = 0;

  const clear = (): void => {
    generation += 1;
    clock.clearTimeout(timer);
    timer = undefined;
    due = false;
  };
  const expire = (armed: number): void => {
    if (armed !== generation || stopped) return;
    timer = undefined;
    if (options.pending()) {
      due = true;
      return;
    }
    options.expired();
  };

  return {
    idleFor: () => (since === undefined ? 0 : clock.now() - since),
    arm() {
      clear();
      if (stopped) return;
      since = clock.now();
      if (off) return;
      const armed = generation;
      timer = clock.setTimeout(() => expire(armed), time);
      timer.unref();
    },
    end() {
      clear();
      since = undefined;
    },
    settled() {
      if (due && !options.pending() && !stopped) options.expired();
    },
    stop() {
      stopped = true;
      clear();
    },
  };
}
