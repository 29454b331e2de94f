/** Does things a fixed time after they were asked for, in order; at once where the time is zero. */
export interface DelayLine {
  /** `extra` milliseconds more for this one, and for whatever comes after it until then. */
  push(action: () => void, extra?: number): void;
}

/** Timers go by whole milliseconds: what is due within half of one is done at once. */
const EARLY = 0.5;

export function createDelayLine(delay: number): DelayLine {
  const queue: { readonly due: number; readonly action: () => void }[] = [];
  let timer: NodeJS.Timeout | undefined;
  let latest = 0;

  const run = (): void => {
    timer = undefined;
    const now = performance.now() + EARLY;
    for (let next = queue[0]; next && next.due <= now; next = queue[0]) {
      queue.shift();
      next.action();
    }
    arm();
  };
  const arm = (): void => {
    const [next] = queue;
    if (!next || timer) return;
    timer = setTimeout(run, Math.max(1, Math.floor(next.due - performance.now())));
  };

  return {
    push(action, extra = 0) {
      if (delay === 0) return action();
      latest = Math.max(latest, performance.now() + delay + extra);
      queue.push({ due: latest, action });
      arm();
    },
  };
}
