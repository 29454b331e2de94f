import type { Clock, Timer } from '../clock/clock.js';

/** How one contender stood at the end of a race. */
export type Standing =
  | { readonly kind: 'won' }
  | { readonly kind: 'failed'; readonly error: unknown }
  /** Another had won; it had run for `after` milliseconds. */
  | { readonly kind: 'withdrawn'; readonly after: number }
  | { readonly kind: 'not-started' };

export interface Contender<T> {
  /** Milliseconds after the start of the one before; that one's failure ends the wait. */
  readonly delay: number;
  start(signal: AbortSignal): Promise<T>;
}

export interface RaceOptions<T> {
  readonly clock: Clock;
  readonly contenders: readonly Contender<T>[];
  /** Takes back what a contender gave after another had won. */
  readonly discard: (value: T) => void;
  readonly started?: (index: number) => void;
  readonly failed?: (index: number, error: unknown) => void;
}

export type RaceOutcome<T> =
  | { readonly kind: 'won'; readonly value: T; readonly standings: readonly Standing[] }
  | { readonly kind: 'failed' | 'aborted'; readonly standings: readonly Standing[] };

/**
 * Starts contenders in order, each with a head start over the next; a failure of the one started last starts
 * the next at once. The first result wins, the others are aborted. Never rejects.
 */
export function staggeredRace<T>(options: RaceOptions<T>, signal: AbortSignal): Promise<RaceOutcome<T>> {
  const { clock, contenders } = options;
  return new Promise((resolve) => {
    const standings: Standing[] = contenders.map(() => ({ kind: 'not-started' }));
    const running = new Map<number, { readonly since: number; readonly cancel: AbortController }>();
    let next = 0;
    let timer: Timer | undefined;
    let over = false;

    const end = (outcome: RaceOutcome<T>): void => {
      over = true;
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
      for (const [index, { since, cancel }] of running) {
        standings[index] = { kind: 'withdrawn', after: clock.now() - since };
        cancel.abort();
      }
      resolve(outcome);
    };
    const aborted = (): void => end({ kind: 'aborted', standings });
    const lost = (index: number, error: unknown): void => {
      if (over) return;
      running.delete(index);
      standings[index] = { kind: 'failed', error };
      options.failed?.(index, error);
      if (index === next - 1) startNext();
      else if (running.size === 0 && next === contenders.length) end({ kind: 'failed', standings });
    };
    const won = (index: number, value: T): void => {
      if (over) {
        options.discard(value);
        return;
      }
      running.delete(index);
      standings[index] = { kind: 'won' };
      end({ kind: 'won', value, standings });
    };
    const startNext = (): void => {
      clock.clearTimeout(timer);
      const index = next;
      const contender = contenders[index];
      if (over) return;
      if (!contender) {
        if (running.size === 0) end({ kind: 'failed', standings });
        return;
      }
      next += 1;
      const cancel = new AbortController();
      running.set(index, { since: clock.now(), cancel });
      options.started?.(index);
      contender.start(cancel.signal).then(
        (value) => won(index, value),
        (error: unknown) => lost(index, error),
      );
      const following = contenders[next];
      if (following && !over) timer = clock.setTimeout(startNext, following.delay);
    };

    if (signal.aborted) {
      aborted();
      return;
    }
    signal.addEventListener('abort', aborted, { once: true });
    startNext();
  });
}
