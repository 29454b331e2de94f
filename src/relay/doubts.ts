import type { Clock } from '../clock/clock.js';
import type { Owner } from '../upstream/owner.js';

/** Finds out whether a connection still carries anything, once for all who doubt it at the same time. */
export interface Doubts {
  /** How long an answer may take before there is doubt, milliseconds. */
  patience(owner: Owner): Promise<number>;
  /**
   * True when the path answers a PING in time. Otherwise the connection gets no new streams from here on, and
   * when the PING stays without an answer it is given up with all its streams.
   */
  alive(owner: Owner): Promise<boolean>;
}

/** Round trips that an answer may take, and what that is at least and at most, milliseconds. */
const ROUND_TRIPS = 4;
const LEAST = 250;
const MOST = 2_000;
/** A PING without an answer for so long ends the connection, milliseconds. */
const GIVE_UP = 5_000;

/**
 * A hop whose machine or process died says nothing over QUIC: the connection seems to be up until its idle time
 * is over. Whoever waits for an answer in vain asks here, rather than wait for that.
 */
export function createDoubts(clock: Clock): Doubts {
  const checks = new WeakMap<Owner, Promise<boolean>>();

  const patience = async ({ connection }: Owner): Promise<number> => {
    const { rtt = 0 } = (await connection.statistics()) ?? {};
    return Math.min(MOST, Math.max(LEAST, ROUND_TRIPS * rtt));
  };
  const check = async (owner: Owner): Promise<boolean> => {
    const limit = await patience(owner);
    return new Promise((resolve) => {
      const cancel = new AbortController();
      const doubt = clock.setTimeout(() => {
        owner.drain();
        resolve(false);
      }, limit);
      const end = clock.setTimeout(() => {
        cancel.abort();
        void owner.stop({ kind: 'unresponsive', after: GIVE_UP });
      }, GIVE_UP);
      const settle = (alive: boolean): void => {
        clock.clearTimeout(doubt);
        clock.clearTimeout(end);
        checks.delete(owner);
        resolve(alive);
      };
      owner.connection.ping(cancel.signal).then(
        () => settle(true),
        () => settle(false),
      );
    });
  };

  return {
    patience,
    alive(owner) {
      const running = checks.get(owner) ?? check(owner);
      checks.set(owner, running);
      return running;
    },
  };
}
