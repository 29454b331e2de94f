import { Line } from '../tables/line.js';

/** The open tunnels of a client, and whether they let the process end. */
export interface TunnelRegister<T> {
  readonly size: number;
  /** `held` says whether it keeps the process running. */
  add(tunnel: T, held: boolean): RegisteredTunnel;
  all(): readonly T[];
  /** Resolves when none is open any more. */
  empty(): Promise<void>;
}

export interface RegisteredTunnel {
  /** Changes whether it keeps the process running. */
  hold(held: boolean): void;
  remove(): void;
}

/** `held` is told when the tunnels begin and cease to keep the process running; without tunnels they do. */
export function createTunnelRegister<T>(held: (held: boolean) => void): TunnelRegister<T> {
  const tunnels = new Line<T>();
  const waiters: (() => void)[] = [];
  let holding = 0;
  let last = true;
  const update = (): void => {
    const now = tunnels.size === 0 || holding > 0;
    if (now !== last) {
      last = now;
      held(now);
    }
    if (tunnels.size === 0) for (const waiter of waiters.splice(0)) waiter();
  };
  return {
    get size() {
      return tunnels.size;
    },
    add(tunnel, heldAtFirst) {
      const place = tunnels.join(tunnel);
      let holds = heldAtFirst;
      if (holds) holding += 1;
      update();
      return {
        hold(now) {
          if (now === holds || place.value === undefined) return;
          holds = now;
          holding += now ? 1 : -1;
          update();
        },
        remove() {
          if (!tunnels.leave(place)) return;
          if (holds) holding -= 1;
          update();
        },
      };
    },
    all: () => [...tunnels],
    empty() {
      return tunnels.size === 0 ? Promise.resolve() : new Promise((resolve) => waiters.push(resolve));
    },
  };
}
