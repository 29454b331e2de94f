import type { Clock, Timer } from '../../clock/clock.js';
import { Line, type Place } from '../../tables/line.js';

/** A stream whose request head is awaited. */
export type AwaitedHead<Stream> = Place<{ readonly stream: Stream; readonly deadline: number }>;

/** Streams whose request head is awaited, all for the same time: one timer serves a connection. */
export interface HeadDeadlines<Stream> {
  add(stream: Stream): AwaitedHead<Stream>;
  remove(awaited: AwaitedHead<Stream>): void;
  clear(): void;
}

export function createHeadDeadlines<Stream>(
  clock: Clock,
  milliseconds: number,
  late: (stream: Stream) => void,
): HeadDeadlines<Stream> {
  // In the order of opening, which is that of the deadlines.
  const waiting = new Line<{ readonly stream: Stream; readonly deadline: number }>();
  let timer: Timer | undefined;

  const arm = (): void => {
    const { first } = waiting;
    if (timer || !first) return;
    timer = clock.setTimeout(expire, Math.max(0, first.deadline - clock.now()));
    timer.unref();
  };
  const expire = (): void => {
    timer = undefined;
    const now = clock.now();
    for (let { first } = waiting; first && first.deadline <= now; first = waiting.first) {
      waiting.leaveFirst();
      late(first.stream);
    }
    arm();
  };

  return {
    add(stream) {
      const place = waiting.join({ stream, deadline: clock.now() + milliseconds });
      arm();
      return place;
    },
    remove(awaited) {
      waiting.leave(awaited);
    },
    clear() {
      waiting.clear();
      clock.clearTimeout(timer);
      timer = undefined;
    },
  };
}
