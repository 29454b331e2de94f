import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { measureTcpRate } from '../../src/client/bench/tcp-rate.js';
import { LINES } from '../../src/client/bench/tcp-responder.js';
import type { Client, TcpTunnel } from '../../src/client/index.js';
import { systemClock } from '../../src/clock/system-clock.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { processSeconds } from './process-cost.js';
import { openStage, type Stage } from './proxied-client.js';
import { markdownTable, median } from './table.js';

const STALLED = 300;
/** Tunnels opened at once. */
const BATCH = 50;
/** The stalled ones have filled what they can fill once the proxy rests; looked at this often, milliseconds. */
const LOOK_EVERY = 500;
/** CPU seconds of such a time that count as rest. */
const REST = 0.03;

type Way = 'down' | 'up';

/** Tunnels that nobody reads: downloads that this side leaves unread, or uploads to a target that does. */
async function openStalled(client: Client, way: Way, stage: Stage): Promise<TcpTunnel[]> {
  const stalled: TcpTunnel[] = [];
  while (stalled.length < STALLED) {
    const more = Array.from({ length: BATCH }, () =>
      client.openTcp(way === 'down' ? stage.target : stage.deaf),
    );
    stalled.push(...(await Promise.all(more)));
  }
  const chunk = Buffer.alloc(256 * 1_024);
  for (const tunnel of stalled) {
    tunnel.on('error', () => undefined);
    if (way === 'down') tunnel.write(LINES.source);
    else {
      const fill = (): void => {
        while (tunnel.write(chunk));
      };
      tunnel.on('drain', fill);
      fill();
    }
  }
  for (let before = -1, now = 0; now - before > REST; ) {
    await wait(LOOK_EVERY);
    before = now;
    now = processSeconds(stage.proxy.pid);
  }
  return stalled;
}

async function speed(version: HttpVersion, way: Way, seconds: number, stalled: boolean): Promise<number> {
  await using stage = await openStage();
  const client = await stage.client(version, true);
  try {
    const others = stalled ? await openStalled(client, way, stage) : [];
    const { megabytesPerSecond } = await measureTcpRate({
      direction: way,
      streams: 1,
      duration: seconds * 1_000,
      warmUp: 600,
      open: () => client.openTcp(stage.target),
      clock: systemClock,
      signal: new AbortController().signal,
    });
    for (const tunnel of others) tunnel.destroy();
    await Promise.all(others.filter((tunnel) => !tunnel.closed).map((tunnel) => once(tunnel, 'close')));
    return megabytesPerSecond;
  } finally {
    await client.close();
  }
}

/** One stream's speed by itself, and beside 300 stalled ones on the same connection. */
export async function measureStalledStreams(seconds: number, count: number, json: boolean): Promise<void> {
  const lines = [['case', 'alone MB/s', `beside ${STALLED} stalled`, 'share kept']];
  for (const version of ['h3', 'h2'] as const) {
    for (const way of ['down', 'up'] as const) {
      const [alone, beside]: [number[], number[]] = [[], []];
      for (let round = 0; round < count; round++) {
        // In turn, so that a change of the machine's load meets both.
        for (const stalled of round % 2 === 0 ? [false, true] : [true, false]) {
          (stalled ? beside : alone).push(await speed(version, way, seconds, stalled));
        }
      }
      const [one, other] = [median(alone), median(beside)];
      const name = `${version}-stalled-${way}`;
      if (json)
        console.log(JSON.stringify({ event: 'stalled', case: name, alone, beside, kept: other / one }));
      lines.push([name, one.toFixed(0), other.toFixed(0), `${((other / one) * 100).toFixed(0)} %`]);
    }
  }
  if (!json) console.log(markdownTable(lines));
}
