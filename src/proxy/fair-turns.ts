import { BautaError } from '../protocol/bauta-error.js';

export interface FairTurnsOptions {
  /** Turns that run at once. */
  readonly concurrent: number;
  /** Who waits, in all and from one source. */
  readonly waiting: number;
  readonly waitingPerSource: number;
}

/** Turns at something scarce: each source that waits gets one in its round, however many it asked for. */
export interface FairTurns {
  /**
   * Resolves when it is the caller's turn; `done` ends it. Rejects with `BautaError` ERR_TOO_MANY where too many
   * wait, and ERR_ABORTED once the signal aborts: who gives up gives the place back.
   */
  take(source: string, signal: AbortSignal): Promise<void>;
  done(): void;
}

export function createFairTurns(options: FairTurnsOptions): FairTurns {
  /** Sources in the order of their next turn. */
  const rounds = new Map<string, Set<() => void>>();
  let running = 0;
  let waiting = 0;

  const remove = (source: string, given: () => void): void => {
    const round = rounds.get(source);
    if (!round?.delete(given)) return;
    waiting--;
    if (round.size === 0) rounds.delete(source);
  };

  return {
    async take(source, signal) {
      if (signal.aborted) throw new BautaError('ERR_ABORTED');
      if (running < options.concurrent) {
        running++;
        return;
      }
      const round = rounds.get(source) ?? new Set();
      if (waiting >= options.waiting || round.size >= options.waitingPerSource) {
        throw new BautaError('ERR_TOO_MANY');
      }
      await new Promise<void>((resolve, reject) => {
        const given = (): void => {
          signal.removeEventListener('abort', gone);
          resolve();
        };
        const gone = (): void => {
          remove(source, given);
          reject(new BautaError('ERR_ABORTED'));
        };
        round.add(given);
        rounds.set(source, round);
        waiting++;
        signal.addEventListener('abort', gone, { once: true });
      });
    },
    done() {
      const [next] = rounds;
      const [given] = next?.[1] ?? [];
      if (!next || !given) {
        running--;
        return;
      }
      const [source, round] = next;
      remove(source, given);
      // The others come first before it has another turn.
      if (rounds.delete(source)) rounds.set(source, round);
      given();
    },
  };
}
