/** How long the oldest byte that waits in a stream has waited, to about ten milliseconds. */
export interface WaitingTime {
  /** Tells how much waits, before each write and after it; returns the time, milliseconds. */
  note(buffered: number): number;
}

interface Mark {
  /** Bytes that had come to wait before this moment. */
  readonly at: number;
  readonly time: number;
}

/** Milliseconds between two marks: what the answer is exact to. */
const STEP = 10;

/** Counts only what came to wait between two notes, so what a write hands on at once costs nothing. */
export function createWaitingTime(now: () => number): WaitingTime {
  const marks: Mark[] = [];
  let [entered, last] = [0, 0];
  return {
    note(buffered) {
      const before = entered;
      if (buffered > last) entered += buffered - last;
      last = buffered;
      if (buffered === 0) {
        marks.length = 0;
        return 0;
      }
      const time = now();
      const latest = marks.at(-1);
      if (entered > before && (!latest || time - latest.time >= STEP)) marks.push({ at: before, time });
      const oldest = entered - buffered;
      while (marks.length > 1 && (marks[1]?.at ?? oldest) <= oldest) marks.shift();
      return time - (marks[0]?.time ?? time);
    },
  };
}
