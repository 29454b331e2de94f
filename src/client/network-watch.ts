import { networkInterfaces } from 'node:os';
import type { Clock, Timer } from '../clock/clock.js';

/** What tells one network from another. */
export interface Network {
  /** The addresses of this machine, as one text. */
  addresses(): string;
  /** Time that runs on while the machine sleeps, milliseconds. */
  wallTime(): number;
}

export interface NetworkWatch {
  stop(): void;
}

/** Milliseconds between two looks. */
const INTERVAL = 3_000;
/** A look that comes so much later than it should was held up by a sleep, milliseconds. */
const SLEEP = 10_000;

export const systemNetwork: Network = {
  addresses: () =>
    Object.values(networkInterfaces())
      .flatMap((entries) => entries ?? [])
      .filter(({ internal }) => !internal)
      .map(({ address }) => address)
      .sort()
      .join(),
  wallTime: Date.now,
};

/** Tells when this machine's addresses have changed, or when it has slept; keeps no process running. */
export function watchNetwork(clock: Clock, network: Network, changed: () => void): NetworkWatch {
  let addresses = network.addresses();
  let lookedAt = network.wallTime();
  let timer: Timer;
  const schedule = (): void => {
    timer = clock.setTimeout(look, INTERVAL);
    timer.unref();
  };
  const look = (): void => {
    const now = network.addresses();
    const at = network.wallTime();
    const other = now !== addresses || at - lookedAt > INTERVAL + SLEEP;
    addresses = now;
    lookedAt = at;
    schedule();
    if (other) changed();
  };
  schedule();
  return { stop: () => clock.clearTimeout(timer) };
}
