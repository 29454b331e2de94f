import { printable } from '../ops/journal.js';

/** Where a command writes. */
export interface Terminal {
  /** True where a person reads standard output. */
  readonly interactive: boolean;
  out(text: string): void;
  err(text: string): void;
  /**
   * Waits for the promise; tells on standard error what is going on once it takes over a second, and for how
   * long it has.
   */
  progress<T>(what: string, promise: Promise<T>): Promise<T>;
}

const PATIENCE = 1_000;

/** The process's own standard output and error; `quiet` leaves progress out. */
export function processTerminal(quiet: boolean): Terminal {
  const { stdout, stderr } = process;
  const moving = stderr.isTTY === true;
  return {
    interactive: stdout.isTTY === true,
    out: (text) => void stdout.write(`${text}\n`),
    err: (text) => void stderr.write(`${text}\n`),
    async progress(what, promise) {
      if (quiet) return promise;
      const since = performance.now();
      let shown = false;
      const timer = setInterval(() => {
        const seconds = Math.round((performance.now() - since) / 1_000);
        if (moving) stderr.write(`\r${printable(what)} … ${seconds} s`);
        else if (!shown) stderr.write(`${printable(what)} …\n`);
        shown = true;
      }, PATIENCE);
      try {
        return await promise;
      } finally {
        clearInterval(timer);
        if (shown && moving) stderr.write('\r\u001b[K');
      }
    },
  };
}
