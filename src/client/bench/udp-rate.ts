import type { Clock } from '../../clock/clock.js';
import { SOURCE_GRANT } from './datagram-format.js';
import { createPacer } from './pacer.js';
import type { UdpSession } from './udp-session.js';
import { pause, waitFor } from './waiting.js';

export type Direction = 'up' | 'down';

/** The highest rate that one direction carried, datagrams of one size. */
export interface UdpRate {
  readonly direction: Direction;
  readonly size: number;
  /** Datagrams a second; 0 where even the lowest rate lost some. */
  readonly rate: number;
  /** Of payload. */
  readonly megabitsPerSecond: number;
  /** What was lost at that rate, 0 to 1; at most `LOSS_ALLOWED`. */
  readonly loss: number;
  /** What the next rate up met: loss, or a sender that was not fast enough itself. */
  readonly limit: 'loss' | 'sender';
}

export interface UdpRateOptions {
  readonly direction: Direction;
  /** Bytes of a datagram. */
  readonly size: number;
  /** Milliseconds that each rate is tried for. */
  readonly step: number;
  /** Milliseconds after the last was sent in which the last has to be there: more is a queue that grows. */
  readonly grace: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly trying?: (rate: number) => void;
}

export const LOSS_ALLOWED = 0.001;
const LOWEST = 200;
const HIGHEST = 1_600_000;
const BISECTIONS = 4;
/** A sender that reaches less than this part of a rate is the limit itself. */
const REACHED = 0.9;
const ASK_EVERY = SOURCE_GRANT / 3;

interface Step {
  readonly offered: number;
  readonly loss: number;
}

async function stepUp(session: UdpSession, rate: number, options: UdpRateOptions): Promise<Step> {
  const { clock, signal, size } = options;
  let sent = 0;
  session.startRun(() => undefined);
  const since = clock.now();
  const pacer = createPacer(clock, rate, () => {
    session.send('sink', sent, size);
    sent += 1;
    return true;
  });
  try {
    await pause(clock, options.step, signal);
  } finally {
    pacer.stop();
  }
  const took = clock.now() - since;
  await pause(clock, options.grace, signal);
  const { counted } = await session.report(signal);
  return { offered: (sent * 1_000) / took, loss: sent === 0 ? 0 : Math.max(0, 1 - counted / sent) };
}

async function stepDown(session: UdpSession, rate: number, options: UdpRateOptions): Promise<Step> {
  const { clock, signal, size } = options;
  let received = 0;
  let first = 0;
  session.startRun(() => {
    if (received === 0) first = clock.now();
    received += 1;
  });
  const since = clock.now();
  try {
    while (clock.now() - since < options.step) {
      session.askForSource(rate, size);
      await pause(clock, Math.min(ASK_EVERY, options.step), signal);
    }
  } finally {
    session.askForSource(0, size);
  }
  const took = clock.now() - (first || since);
  await pause(clock, options.grace, signal);
  const arrived = received;
  const { sent } = await session.report(signal);
  // A stop that was lost lets the source run until its grant ends.
  await waitFor(clock, () => received >= sent, options.grace, signal);
  return { offered: (sent * 1_000) / took, loss: sent === 0 ? 1 : Math.max(0, 1 - arrived / sent) };
}

/**
 * Looks for the highest rate at which no more than one datagram in a thousand is lost: doubling, then halving the
 * gap between what worked and what did not.
 */
export async function measureHighestRate(session: UdpSession, options: UdpRateOptions): Promise<UdpRate> {
  const once = options.direction === 'up' ? stepUp : stepDown;
  const attempt = async (rate: number): Promise<Step> => {
    options.trying?.(rate);
    const first = await once(session, rate, options);
    // One disturbance is not yet the path's limit.
    return first.loss > LOSS_ALLOWED ? once(session, rate, options) : first;
  };
  let best: Step = { offered: 0, loss: 0 };
  let limit: UdpRate['limit'] = 'sender';
  let worked = 0;
  let failed = HIGHEST * 2;
  for (let rate = LOWEST; rate <= HIGHEST; rate *= 2) {
    const step = await attempt(rate);
    if (step.loss > LOSS_ALLOWED) {
      failed = rate;
      limit = 'loss';
      break;
    }
    if (step.offered > best.offered) best = step;
    worked = rate;
    if (step.offered < REACHED * rate) break;
  }
  for (let left = BISECTIONS; left > 0 && limit === 'loss' && worked > 0; left--) {
    const rate = Math.round((worked + failed) / 2);
    const step = await attempt(rate);
    if (step.loss > LOSS_ALLOWED) {
      failed = rate;
      continue;
    }
    worked = rate;
    if (step.offered > best.offered) best = step;
  }
  return {
    direction: options.direction,
    size: options.size,
    rate: best.offered,
    megabitsPerSecond: (best.offered * options.size * 8) / 1_000_000,
    loss: best.loss,
    limit,
  };
}
