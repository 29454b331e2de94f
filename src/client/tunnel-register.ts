/** The open tunnels of a client, and whether they let the process end. */
export interface TunnelRegister<T> {
  readonly size: number;
  /** Adds a tunnel, or changes whether it keeps the process running. */
  hold(tunnel: T, held: boolean): void;
  remove(tunnel: T): void;
  all(): readonly T[];
  /** Resolves when none is open any more. */
  empty(): Promise<void>;
}

/** `held` is told when the tunnels begin and cease to keep the process running; without tunnels they do. */
export function createTunnelRegister<T>(held: (held: boolean) => void): TunnelRegister<T> {
  const tunnels = new Map<T, boolean>();
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
    hold(tunnel, isHeld) {
      const before = tunnels.get(tunnel);
      if (before === isHeld) return;
      if (before) holding -= 1;
      if (isHeld) holding += 1;
      tunnels.set(tunnel, isHeld);
      update();
    },
    remove(tunnel) {
      if (tunnels.get(tunnel)) holding -= 1;
      if (tunnels.delete(tunnel)) update();
    },
    all: () => [...tunnels.keys()],
    empty() {
      return tunnels.size === 0 ? Promise.resolve() : new Promise((resolve) => waiters.push(resolve));
    },
  };
}
