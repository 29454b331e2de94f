import type { Clock } from '../../clock/clock.js';
import { createSamples, type Summary } from './samples.js';

/** How long it takes to get a tunnel; milliseconds. */
export interface SetUp {
  /** From nothing to a connection that takes requests: handshakes and the proxy's settings. */
  readonly connection: Summary;
  /** From nothing to the proxy's answer to the first tunnel. */
  readonly connectionAndTunnel: Summary;
  /** A further tunnel on a connection that is up; undefined where each tunnel has a connection of its own. */
  readonly tunnel: Summary | undefined;
}

/** A connection to the proxy, as this measurement needs it. */
export interface MeasuredConnection {
  /** Opens a tunnel, and ends it once it is open. */
  tunnel(): Promise<void>;
  close(): Promise<void>;
}

export interface SetUpOptions {
  readonly dial: () => Promise<MeasuredConnection>;
  /** A connection carries more than one tunnel. */
  readonly shared: boolean;
  /** Milliseconds for all of it; each kind is measured at least `LEAST` times. */
  readonly duration: number;
  readonly clock: Clock;
}

const LEAST = 3;
const MOST_CONNECTIONS = 100;
const MOST_TUNNELS = 1_000;

/** Rejects with what `dial` and `tunnel` reject with. */
export async function measureSetUp(options: SetUpOptions): Promise<SetUp> {
  const { clock, dial } = options;
  const share = options.duration / (options.shared ? 2 : 1);
  const [connection, both, tunnel] = [createSamples(), createSamples(), createSamples()];
  let end = clock.now() + share;
  while (both.count < LEAST || (clock.now() < end && both.count < MOST_CONNECTIONS)) {
    const since = clock.now();
    const dialled = await dial();
    try {
      connection.add(clock.now() - since);
      await dialled.tunnel();
      both.add(clock.now() - since);
    } finally {
      await dialled.close();
    }
  }
  if (options.shared) {
    const dialled = await dial();
    try {
      end = clock.now() + share;
      while (tunnel.count < LEAST || (clock.now() < end && tunnel.count < MOST_TUNNELS)) {
        const since = clock.now();
        await dialled.tunnel();
        tunnel.add(clock.now() - since);
      }
    } finally {
      await dialled.close();
    }
  }
  return {
    connection: connection.summary(),
    connectionAndTunnel: both.summary(),
    tunnel: options.shared ? tunnel.summary() : undefined,
  };
}
