/** A running timer, as the clock that made it knows it. */
export interface Timer {
  /** Lets the process exit while this timer is pending. */
  unref(): void;
}

/**
 * Time as an argument. Everything below `proxy` and `client` gets its time here,
 * so that a test can move it. All times are milliseconds.
 */
export interface Clock {
  /** Monotonic milliseconds; only differences mean anything. */
  now(): number;
  setTimeout(callback: () => void, milliseconds: number): Timer;
  /** Does nothing for a timer that has fired or was cleared. */
  clearTimeout(timer: Timer | undefined): void;
}

/** Fills the array with random bytes; an argument so that a test can be repeated. */
export type RandomBytes = (length: number) => Uint8Array;
