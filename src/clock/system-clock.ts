import { randomBytes } from 'node:crypto';
import type { Clock, RandomBytes, Timer } from './clock.js';

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (callback, milliseconds): Timer => setTimeout(callback, milliseconds),
  clearTimeout: (timer) => {
    clearTimeout(timer as NodeJS.Timeout | undefined);
  },
};

/** The machine's own randomness. */
export const systemRandom: RandomBytes = (length) => randomBytes(length);
