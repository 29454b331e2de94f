/*
 * What the pool costs by itself, without a network: a stream opened and released through it beside 10,000 open
 * sessions on 20 connections, and memory for each. Run: node --expose-gc dist/bench/upstream/pool-cost.js
 */
import {
  createPool,
  type Session,
  systemClock,
  systemRandom,
  type UpstreamTarget,
} from '../../src/upstream/index.js';
import { createBareTransport } from './bare-transport.js';

const sessions = 10_000;
const connections = 20;
const churn = 20_000;
const rounds = 5;
const head = { kind: 'connect', authority: 'target.test:443', fields: [] } as const;
const target: UpstreamTarget = {
  host: 'hop.test',
  port: 443,
  version: 'h3',
  tls: { trust: { mode: 'system' } },
};

function createSession(): Session {
  return {
    gone: new AbortController().signal,
    response: () => undefined,
    data: () => undefined,
    end: () => undefined,
    datagram: () => undefined,
    drain: () => undefined,
    closed: () => undefined,
  };
}

const gc = globalThis.gc ?? (() => undefined);
const pool = createPool({
  driver: { dial: async () => createBareTransport().connection },
  clock: systemClock,
  random: Math.random,
  randomBytes: systemRandom,
  maxStreams: Math.ceil(sessions / connections) + 1,
  maxConnectionsPerKey: connections,
});
await pool.warmUp(target, connections);
gc();
const before = process.memoryUsage().heapUsed;
const open = [];
for (let index = 0; index < sessions; index++)
  open.push(await pool.openStream(target, head, createSession()));
gc();
const memory = (process.memoryUsage().heapUsed - before) / sessions;

const times: number[] = [];
for (let round = 0; round <= rounds; round++) {
  const start = process.cpuUsage();
  for (let index = 0; index < churn; index++) {
    (await pool.openStream(target, head, createSession())).release();
  }
  const { user, system } = process.cpuUsage(start);
  if (round > 0) times.push(((user + system) * 1_000) / churn);
}
times.sort((a, b) => a - b);
const range = `${Math.round(times[0] ?? 0)} to ${Math.round(times.at(-1) ?? 0)}`;
console.log(`${open.length} sessions on ${pool.stats()[0]?.connections} connections`);
console.log(`  a stream opened and released  ${Math.round(times[times.length >> 1] ?? 0)} (${range}) ns`);
if (globalThis.gc) console.log(`  memory for each session       ${Math.round(memory)} bytes`);
await pool.closeAll();
