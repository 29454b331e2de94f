import type { Clock } from '../clock/clock.js';
import type { TransportConnection, TransportStatistics } from './transport.js';

/** How much of what a connection sends is lost or dropped, from 0 to 1, as far as its transport knows. */
export interface CongestionGauge {
  readonly value: number;
  /** Looks again, when the last look is a while ago. */
  refresh(): void;
}

/** Milliseconds between two looks at the statistics. */
const INTERVAL = 1_000;

function share(part: number | undefined, whole: number | undefined): number {
  return part === undefined || !whole || part <= 0 ? 0 : Math.min(1, part / whole);
}

function difference(now: number | undefined, before: number | undefined): number | undefined {
  return now === undefined ? undefined : now - (before ?? 0);
}

export function createCongestionGauge(connection: TransportConnection, clock: Clock): CongestionGauge {
  let last: TransportStatistics = {};
  let lookedAt = Number.NEGATIVE_INFINITY;

  const take = (now: TransportStatistics | undefined): void => {
    if (!now) return;
    const lost = share(
      difference(now.packetsLost, last.packetsLost),
      difference(now.packetsSent, last.packetsSent),
    );
    const dropped = difference(now.datagramsDropped, last.datagramsDropped) ?? 0;
    const offered = dropped + (difference(now.datagramsSent, last.datagramsSent) ?? 0);
    gauge.value = Math.max(lost, share(dropped, offered));
    last = now;
  };

  const gauge = {
    value: 0,
    refresh() {
      if (clock.now() - lookedAt < INTERVAL) return;
      lookedAt = clock.now();
      const look = async (): Promise<TransportStatistics | undefined> => connection.statistics();
      look().then(take, () => undefined);
    },
  };
  return gauge;
}
