import type { Clock } from '../clock/clock.js';
import type { ErrorCode } from '../protocol/failures.js';
import type { HopAnswer } from './hop-answer.js';
import type { NextHop } from './next-hop.js';

/** A hop that answered this long ago may just be restarting, milliseconds. */
const RECENT = 10_000;
/** A tunnel waits no longer for a hop that restarts, and looks again this often, milliseconds. */
const GRACE = 3_000;
const AGAIN = 100;

/** Failures that a hop which restarts gives. */
const passing: readonly ErrorCode[] = [
  'ERR_PROXY_UNREACHABLE',
  'ERR_PROXY_TIMEOUT',
  'ERR_CONNECTION_LOST',
  'ERR_TUNNEL_RESET',
];

/** Lets tunnels wait for a hop that answered a moment ago, so that its restart costs them time and no failure. */
export interface RestartGrace {
  ask<Far>(hop: NextHop, ask: () => Promise<HopAnswer<Far>>, signal: AbortSignal): Promise<HopAnswer<Far>>;
}

export function createRestartGrace(clock: Clock): RestartGrace {
  const answered = new WeakMap<NextHop, number>();
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      clock.setTimeout(resolve, AGAIN);
    });
  return {
    async ask(hop, ask, signal) {
      const began = clock.now();
      for (;;) {
        const answer = await ask();
        if (answer.kind !== 'failed') {
          answered.set(hop, clock.now());
          return answer;
        }
        const last = answered.get(hop);
        const restarting = last !== undefined && began - last < RECENT && clock.now() - began < GRACE;
        if (!restarting || !passing.includes(answer.error.code)) return answer;
        await pause();
        if (signal.aborted) return answer;
      }
    },
  };
}
