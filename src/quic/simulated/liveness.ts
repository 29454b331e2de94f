import type { Clock, Timer } from '../../clock/clock.js';

/** Idle time and keep-alive of one end (RFC 9000 section 10.1). */
export interface Liveness {
  /** The connection is up: the idle time begins. */
  begin(): void;
  /** Something was sent that the peer acknowledges. */
  sent(): void;
  heard(): void;
  stop(): void;
}

export function createLiveness(
  clock: Clock,
  options: {
    /** Milliseconds; 0 is for ever. */
    readonly idleTimeout: () => number;
    readonly keepAlive: number | undefined;
    readonly idle: () => void;
    readonly ping: () => void;
  },
): Liveness {
  let begun = false;
  let sentSinceHeard = false;
  let idleTimer: Timer | undefined;
  let keepAliveTimer: Timer | undefined;

  const armIdle = (): void => {
    clock.clearTimeout(idleTimer);
    const limit = options.idleTimeout();
    if (!begun || limit <= 0) return;
    idleTimer = clock.setTimeout(options.idle, limit);
    idleTimer.unref();
  };
  const armKeepAlive = (): void => {
    if (options.keepAlive === undefined || options.keepAlive <= 0) return;
    keepAliveTimer = clock.setTimeout(() => {
      options.ping();
      if (begun) armKeepAlive();
    }, options.keepAlive);
    keepAliveTimer.unref();
  };

  return {
    begin() {
      begun = true;
      armIdle();
      armKeepAlive();
    },
    sent() {
      // Only the first packet after the last one heard counts.
      if (sentSinceHeard) return;
      sentSinceHeard = true;
      armIdle();
    },
    heard() {
      sentSinceHeard = false;
      armIdle();
    },
    stop() {
      begun = false;
      clock.clearTimeout(idleTimer);
      clock.clearTimeout(keepAliveTimer);
    },
  };
}
