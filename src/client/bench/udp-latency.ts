import type { Clock } from '../../clock/clock.js';
import { createPacer } from './pacer.js';
import { createSamples, type Summary } from './samples.js';
import type { UdpSession } from './udp-session.js';
import { pause, waitFor } from './waiting.js';

/** Round trips at a steady rate; times in milliseconds. */
export interface UdpLatency {
  readonly size: number;
  /** Datagrams a second that were sent, in fact. */
  readonly rate: number;
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  /** 0 to 1. */
  readonly loss: number;
  /** Came after one that was sent later. */
  readonly reordered: number;
  readonly duplicates: number;
  readonly roundTrip: Summary;
  /** Mean difference of a round trip from the one before. */
  readonly jitter: number;
}

export interface PacedOptions {
  /** Datagrams a second. */
  readonly rate: number;
  /** Bytes of a datagram. */
  readonly size: number;
  /** Milliseconds of sending. */
  readonly duration: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** What comes later than this is lost. */
const LATE = 2_000;

export async function measureLatency(session: UdpSession, options: PacedOptions): Promise<UdpLatency> {
  const { clock, rate, size, signal } = options;
  const most = Math.ceil((rate * options.duration) / 1_000) + rate;
  const seen = new Uint8Array(most);
  const times = createSamples();
  let [sent, received, reordered, duplicates, highest] = [0, 0, 0, 0, -1];
  let [differences, before] = [0, Number.NaN];
  session.startRun((sequence, sentAt) => {
    if (sequence >= sent || seen[sequence] === 1) {
      duplicates += 1;
      return;
    }
    seen[sequence] = 1;
    received += 1;
    const took = clock.now() - sentAt;
    times.add(took);
    if (!Number.isNaN(before)) differences += Math.abs(took - before);
    before = took;
    if (sequence < highest) reordered += 1;
    else highest = sequence;
  });
  const since = clock.now();
  const pacer = createPacer(clock, rate, () => {
    if (sent >= most) return false;
    session.send('echo', sent, size);
    sent += 1;
    return true;
  });
  try {
    await pause(clock, options.duration, signal);
  } finally {
    pacer.stop();
  }
  const took = clock.now() - since;
  await waitFor(clock, () => received >= sent, LATE, signal);
  return {
    size,
    rate: (sent * 1_000) / took,
    sent,
    received,
    lost: sent - received,
    loss: sent === 0 ? 0 : (sent - received) / sent,
    reordered,
    duplicates,
    roundTrip: times.summary(),
    jitter: received > 1 ? differences / (received - 1) : Number.NaN,
  };
}
