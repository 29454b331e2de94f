import type { Clock, Timer } from '../clock/clock.js';
import type { TransportConnection } from './transport.js';

/** Times in milliseconds. */
export interface HealthCheckTimes {
  /** Between the answer to one PING and the next. */
  readonly interval: number;
  /** An answer takes no longer. */
  readonly timeout: number;
}

export interface HealthCheck {
  stop(): void;
}

/** Sends a PING now and then; tells once when there was no answer, and stops. */
export function startHealthCheck(
  connection: TransportConnection,
  clock: Clock,
  { interval, timeout }: HealthCheckTimes,
  unresponsive: () => void,
): HealthCheck {
  let timer: Timer | undefined;
  let limit: AbortController | undefined;
  let stopped = false;

  const schedule = (): void => {
    if (stopped) return;
    timer = clock.setTimeout(look, interval);
    timer.unref();
  };
  const look = (): void => {
    const patience = new AbortController();
    limit = patience;
    timer = clock.setTimeout(() => patience.abort(), timeout);
    timer.unref();
    const ping = async (): Promise<number> => connection.ping(patience.signal);
    ping().then(
      () => {
        clock.clearTimeout(timer);
        schedule();
      },
      () => {
        clock.clearTimeout(timer);
        if (stopped) return;
        stopped = true;
        unresponsive();
      },
    );
  };

  schedule();
  return {
    stop() {
      stopped = true;
      clock.clearTimeout(timer);
      limit?.abort();
    },
  };
}
