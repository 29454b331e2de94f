/*
 * What the owner costs by itself, without a network: routing one datagram to its session among many, opening
 * and releasing a stream, memory for each session. Run: node --expose-gc dist/bench/upstream/owner-cost.js
 */
import { systemClock } from '../../src/clock/system-clock.js';
import { adoptConnection, type Session } from '../../src/upstream/index.js';
import { createBareTransport } from './bare-transport.js';

const sessions = [1, 100, 10_000];
const datagrams = 2_000_000;
const rounds = 5;
const head = { kind: 'connect', authority: 'target.test:443', fields: [] } as const;
const payload = new Uint8Array(1_200);

interface CountingSession extends Session {
  bytes: number;
}

function createSession(gone: AbortSignal): CountingSession {
  const session: CountingSession = {
    bytes: 0,
    gone,
    response: () => undefined,
    data: () => undefined,
    end: () => undefined,
    datagram(_bytes, start, end) {
      session.bytes += end - start;
    },
    drain: () => undefined,
    closed: () => undefined,
  };
  return session;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

/** Nanoseconds of CPU for each of `count` calls; median and range of the rounds. */
function measure(count: number, run: () => void): string {
  run();
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    times.push(((user + system) * 1_000) / count);
  }
  return `${median(times).toFixed(1)} (${Math.min(...times).toFixed(1)} to ${Math.max(...times).toFixed(1)})`;
}

async function withSessions(count: number): Promise<void> {
  const gc = globalThis.gc ?? (() => undefined);
  const transport = createBareTransport();
  const owner = adoptConnection(transport.connection, { clock: systemClock });
  const controllers = Array.from({ length: count }, () => new AbortController());
  const all = controllers.map(({ signal }) => createSession(signal));
  gc();
  const before = process.memoryUsage().heapUsed;
  for (const session of all) await owner.acquireStream(head, session);
  gc();
  const memory = (process.memoryUsage().heapUsed - before) / count;

  const { events } = transport;
  const direct = measure(datagrams, () => {
    for (let index = 0; index < datagrams; index++) all[index % count]?.datagram(payload, 0, 1_200);
  });
  const routed = measure(datagrams, () => {
    for (let index = 0; index < datagrams; index++) {
      events.datagram(transport.connection, 4 * (index % count), payload, 0, 1_200);
    }
  });
  console.log(`${count} sessions`);
  console.log(`  a call of the session alone        ${direct} ns`);
  console.log(`  a datagram through the owner       ${routed} ns`);
  // One session's share cannot be seen beside what else the heap does.
  if (globalThis.gc && count > 1)
    console.log(`  memory for each session            ${Math.round(memory)} bytes`);

  const churn = 20_000;
  const gone = new AbortController().signal;
  const times: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const start = process.cpuUsage();
    for (let index = 0; index < churn; index++) {
      (await owner.acquireStream(head, createSession(gone))).release();
    }
    const { user, system } = process.cpuUsage(start);
    if (round > 0) times.push(((user + system) * 1_000) / churn);
  }
  console.log(`  a stream acquired and released     ${Math.round(median(times))} ns`);
  await owner.stop();
}

for (const count of sessions) await withSessions(count);
