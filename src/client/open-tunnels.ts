import type { Clock } from '../clock/clock.js';
import { Line } from '../tables/line.js';
import type { TunnelOwner } from './tunnel-end.js';
import { createTunnelRegister, type RegisteredTunnel } from './tunnel-register.js';

/** An open tunnel of any kind, as its client sees it. */
export interface OpenTunnel {
  /** The client is closed under it: ends what can be ended in order, and cuts off what cannot. */
  end(): void;
}

/** The open tunnels of a client: counted, held, and ended with it. */
export interface OpenTunnels {
  readonly size: number;
  /** A tunnel without a public face; `closed` tells when it is over. */
  addRaw(tunnel: OpenTunnel, closed: Promise<unknown>): void;
  /** A tunnel that says by itself whether it keeps the process running; so it does at first. */
  addPublic(tunnel: OpenTunnel): PublicPlace;
  /** Whether the raw tunnels keep the process running. */
  holdRaw(held: boolean): void;
  /**
   * Gives the tunnels up to `drain` milliseconds to end by themselves, then ends the rest; tells whether there
   * was none left.
   */
  finish(drain: number): Promise<boolean>;
}

/** A class because there are thousands. */
export class PublicPlace implements TunnelOwner {
  constructor(
    private readonly entry: RegisteredTunnel,
    private readonly client: AbortSignal,
  ) {}

  get closing(): boolean {
    return this.client.aborted;
  }

  hold(held: boolean): void {
    this.entry.hold(held);
  }

  /** The tunnel is over. */
  remove(): void {
    this.entry.remove();
  }
}

/** What ends in order gets this long before the connections are closed under it, milliseconds. */
const END_GRACE = 250;

/** `hold` is told when the tunnels begin and cease to keep the process running. */
export function createOpenTunnels(
  clock: Clock,
  closing: AbortSignal,
  hold: (held: boolean) => void,
): OpenTunnels {
  const register = createTunnelRegister<OpenTunnel>(hold);
  const raw = new Line<RegisteredTunnel>();
  let rawHeld = true;
  const emptyWithin = (milliseconds: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = clock.setTimeout(resolve, milliseconds);
      void register.empty().then(() => {
        clock.clearTimeout(timer);
        resolve();
      });
    });
  return {
    get size() {
      return register.size;
    },
    addRaw(tunnel, closed) {
      const entry = register.add(tunnel, rawHeld);
      const place = raw.join(entry);
      void closed.then(() => {
        raw.leave(place);
        entry.remove();
      });
    },
    addPublic(tunnel) {
      return new PublicPlace(register.add(tunnel, true), closing);
    },
    holdRaw(held) {
      rawHeld = held;
      for (const entry of raw) entry.hold(held);
    },
    async finish(drain) {
      // What closes is waited for, whatever the tunnels said.
      hold(true);
      if (drain > 0) await emptyWithin(drain);
      const drained = register.size === 0;
      for (const tunnel of register.all()) tunnel.end();
      if (!drained) await emptyWithin(END_GRACE);
      return drained;
    },
  };
}
