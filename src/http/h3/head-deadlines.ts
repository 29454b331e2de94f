import type { Clock, Timer } from '../../clock/clock.js';

/** Streams whose request head is awaited, all for the same time: one timer serves a connection. */
export interface HeadDeadlines<Stream> {
  add(stream: Stream): void;
  remove(stream: Stream): void;
  clear(): void;
}

export function createHeadDeadlines<Stream>(
  clock: Clock,
  milliseconds: number,
  late: (stream: Stream) => void,
): HeadDeadlines<Stream> {
  // In the order of opening, which is that of the deadlines.
  const waiting = new Map<Stream, number>();
  let timer: Timer | undefined;

  const arm = (): void => {
    if (timer) return;
    for (const deadline of waiting.values()) {
      timer = clock.setTimeout(expire, Math.max(0, deadline - clock.now()));
      timer.unref();
      return;
    }
  };
  const expire = (): void => {
    timer = undefined;
    const now = clock.now();
    for (const [stream, deadline] of waiting) {
      if (deadline > now) break;
      waiting.delete(stream);
      late(stream);
    }
    arm();
  };

  return {
    add(stream) {
      waiting.set(stream, clock.now() + milliseconds);
      arm();
    },
    remove(stream) {
      waiting.delete(stream);
    },
    clear() {
      waiting.clear();
      clock.clearTimeout(timer);
      timer = undefined;
    },
  };
}
