import type { Timer } from '../../clock/clock.js';
import { h3ErrorCodes } from '../../protocol/h3-error.js';
import type { H3Session } from './session.js';

/** Closes a connection once nothing runs on it any more, leaving the last bytes time to arrive. */
export interface CloseWhenIdle {
  /** From here on, it closes as soon as it is idle. */
  begin(): void;
  /** A stream has ended. */
  streamEnded(): void;
  stop(): void;
}

export function createCloseWhenIdle(session: H3Session): CloseWhenIdle {
  const { clock, limits } = session;
  let begun = false;
  let lastEnd = Number.NEGATIVE_INFINITY;
  let timer: Timer | undefined;

  const check = (): void => {
    timer = undefined;
    if (!begun || session.closing || session.requests.size > 0) return;
    // Three round trips are enough for bytes that are lost once.
    const linger = Math.max(limits.drainLinger, 3 * session.roundTrip);
    const left = lastEnd + linger - clock.now();
    if (left > 0) timer = clock.setTimeout(check, left);
    else session.fail(h3ErrorCodes.H3_NO_ERROR, '');
  };

  return {
    begin() {
      begun = true;
      if (!timer) check();
    },
    streamEnded() {
      lastEnd = clock.now();
      if (!timer) check();
    },
    stop() {
      begun = false;
      clock.clearTimeout(timer);
      timer = undefined;
    },
  };
}

/** Above every stream that is ever opened; a multiple of four. */
const EVERY_REQUEST = Number.MAX_SAFE_INTEGER - 3;

/** A server's way to say that it ends (RFC 9114 section 5.2): first in general, then with the last request. */
export interface ServerDrain {
  begin(): void;
  /** Requests from this stream id on are rejected. */
  readonly rejectFrom: number;
  stop(): void;
}

/** Between the two GOAWAY frames: one round trip, in milliseconds, within these. */
const SHORTEST = 50;
const LONGEST = 1_000;

export function createServerDrain(session: H3Session, idle: CloseWhenIdle): ServerDrain {
  let begun = false;
  let timer: Timer | undefined;

  const settle = (): void => {
    drain.rejectFrom = session.nextRequest;
    session.goaway(drain.rejectFrom);
    idle.begin();
  };

  const drain: ServerDrain & { rejectFrom: number } = {
    rejectFrom: Number.POSITIVE_INFINITY,
    begin() {
      if (begun || session.closing) return;
      begun = true;
      // Requests that are under way while this frame is are still served.
      session.goaway(EVERY_REQUEST);
      const wait = Math.min(LONGEST, Math.max(SHORTEST, session.roundTrip));
      timer = session.clock.setTimeout(settle, wait);
    },
    stop() {
      session.clock.clearTimeout(timer);
    },
  };
  return drain;
}
