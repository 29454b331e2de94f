import { measureSetUp } from '../client/bench/set-up.js';
import { measureTcpRate } from '../client/bench/tcp-rate.js';
import { measureLatency } from '../client/bench/udp-latency.js';
import { measureHighestRate } from '../client/bench/udp-rate.js';
import { openUdpSession } from '../client/bench/udp-session.js';
import type { ClientCore } from '../client/client-core.js';
import { dialError } from '../client/dial-failure.js';
import type { ProxyAccess } from '../client/proxy-access.js';
import type { DialProxy } from '../client/proxy-dialer.js';
import { systemClock } from '../clock/system-clock.js';
import { BautaError } from '../protocol/bauta-error.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import { openUdpTunnel } from '../tunnel/udp/open-udp.js';
import type { BenchResult, Part } from './bench-report.js';
import { type BenchTarget, withReachHint } from './bench-target.js';
import { tableError } from './report-error.js';
import type { Terminal } from './terminal.js';

/** What is measured, and how; times in milliseconds. */
export interface BenchPlan {
  readonly access: ProxyAccess;
  readonly dial: DialProxy;
  readonly far: BenchTarget;
  readonly parts: readonly Part[];
  readonly duration: number;
  readonly rate: number;
  readonly size: number;
  readonly streams: number;
  readonly timeout: number;
  readonly signal: AbortSignal;
  readonly tell: (result: BenchResult) => void;
  readonly progress: Terminal['progress'];
}

const clock = systemClock;
/** The highest rate is looked for in some fifteen steps. */
const STEPS = 10;
/** Besides twice the round trip, a datagram may be so much later than the last was sent. */
const GRACE = 100;
const WARM_UP = 500;

async function setUp(version: HttpVersion, plan: BenchPlan): Promise<void> {
  const { access, far, signal } = plan;
  const path = access.udpPath(far.target);
  const measured = measureSetUp({
    clock,
    shared: version !== 'h1',
    duration: plan.duration,
    async dial() {
      const connection = await plan.dial(version, {}, signal);
      return {
        async tunnel() {
          const tunnel = openUdpTunnel(
            connection,
            {
              authority: access.authority,
              path,
              fields: await access.credentials(),
              clock,
              timeout: plan.timeout,
            },
            { payload: () => undefined },
            signal,
          );
          await tunnel.ready;
          tunnel.end();
        },
        close: () => connection.close(),
      };
    },
  });
  const result = await plan.progress(`${version}: opening connections and tunnels`, measured);
  plan.tell({ event: 'set-up', version, ...result });
}

async function udp(version: HttpVersion, core: ClientCore, plan: BenchPlan): Promise<void> {
  const { signal, progress, far, timeout } = plan;
  const session = await progress(
    `${version}: opening a UDP tunnel`,
    openUdpSession((handler) => core.openRawUdp(far.target, handler, { signal, timeout }), clock, signal),
  );
  try {
    const size = Math.min(plan.size, session.maxSize);
    const { duration } = plan;
    const latency = await progress(
      `${version}: UDP round trips`,
      measureLatency(session, { rate: plan.rate, size, duration, clock, signal }),
    );
    plan.tell({ event: 'udp-latency', version, ...latency });
    if (latency.received === 0) return;
    const grace = GRACE + 2 * latency.roundTrip.p50;
    for (const direction of ['up', 'down'] as const) {
      const rate = await progress(
        `${version}: the highest UDP rate ${direction}`,
        measureHighestRate(session, { direction, size, step: duration / STEPS, grace, clock, signal }),
      );
      plan.tell({ event: 'udp-rate', version, ...rate });
    }
  } finally {
    session.end();
  }
}

async function tcp(version: HttpVersion, core: ClientCore, plan: BenchPlan): Promise<void> {
  const { signal, timeout, far, duration } = plan;
  const open = () => core.openTcp({ host: far.target.host, port: far.target.port }, { signal, timeout });
  for (const streams of new Set([1, plan.streams])) {
    for (const direction of ['down', 'up'] as const) {
      const rate = await plan.progress(
        `${version}: TCP ${direction}, ${streams} stream${streams === 1 ? '' : 's'}`,
        measureTcpRate({ direction, streams, duration, warmUp: WARM_UP, open, clock, signal }),
      );
      plan.tell({ event: 'tcp-rate', version, ...rate });
    }
  }
}

/** Measures one version, part by part; gives the first error. */
export async function measureVersion(
  version: HttpVersion,
  core: ClientCore,
  plan: BenchPlan,
): Promise<BautaError | undefined> {
  let first: BautaError | undefined;
  for (const part of plan.parts) {
    try {
      if (part === 'setup') await setUp(version, plan);
      else if (part === 'udp') await udp(version, core, plan);
      else await tcp(version, core, plan);
    } catch (thrown) {
      if (plan.signal.aborted) throw thrown;
      const known = thrown instanceof BautaError ? thrown : dialError(thrown);
      const error = tableError(withReachHint(known, plan.far));
      first ??= error;
      plan.tell({ event: 'failed', version, part, error });
      // It will say the same of the other parts.
      if (error.code === 'ERR_TARGET_REFUSED' || error.code === 'ERR_TARGET_DENIED') break;
    }
  }
  return first;
}
