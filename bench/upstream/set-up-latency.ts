/*
 * How long it takes to open a CONNECT-UDP tunnel, and how many can be opened, with a pool and with a connection
 * for each; see ../README.md. Run: node dist/bench/upstream/set-up-latency.js [--only h3|h2] [--quick]
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  createHttpDriver,
  createNativeEngine,
  createPool,
  systemClock,
  systemRandom,
  type UpstreamTarget,
} from '../../src/upstream/index.js';
import { startProxy } from '../subjects.js';
import { measureFloor } from './floor.js';
import { measureOpenings, type Openings, quantile } from './measure-openings.js';
import { freshOpener, type OpenTunnel, pooledOpener, udpRequest } from './openers.js';
import { type Path, startPath } from './path.js';
import { measurePhases } from './phases.js';

const { values } = parseArgs({
  options: { only: { type: 'string' }, quick: { type: 'boolean', default: false } },
});

/** Milliseconds of a round trip. */
const delays = [0, 50] as const;
const versions = (['h3', 'h2'] as const).filter((version) => !values.only || values.only === version);
/** Concurrent openings, and how many each way in one of the two rounds: without delay and with it. */
const loads = [
  { concurrent: 1, counts: [200, 40] },
  { concurrent: 10, counts: [400, 150] },
  { concurrent: 100, counts: [600, 400] },
  { concurrent: 1_000, counts: [1_000, 1_000] },
] as const;
/** Fresh and pooled in turn, then in the opposite order: what disturbs the machine disturbs both alike. */
const orders = [
  ['pooled', 'fresh'],
  ['fresh', 'pooled'],
] as const;
type Way = (typeof orders)[number][number];

const number = (value: number): string => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
const row = (cells: readonly string[]): void => console.log(`| ${cells.join(' | ')} |`);

function merged(rounds: readonly Openings[]): Openings {
  return {
    times: rounds.flatMap(({ times }) => times).sort((a, b) => a - b),
    seconds: rounds.reduce((sum, { seconds }) => sum + seconds, 0),
    errors: rounds.flatMap(({ errors }) => errors),
  };
}

function tell(what: readonly string[], pooled: Openings, fresh: Openings, forwarder: number): void {
  const p50 = [quantile(pooled.times, 0.5), quantile(fresh.times, 0.5)] as const;
  const p99 = [quantile(pooled.times, 0.99), quantile(fresh.times, 0.99)] as const;
  const rate = [pooled.times.length / pooled.seconds, fresh.times.length / fresh.seconds] as const;
  row([
    ...what,
    `${number(p50[0])} / ${number(p99[0])}`,
    `${number(p50[1])} / ${number(p99[1])}`,
    `${number(p50[0] / p50[1])} / ${number(p99[0] / p99[1])}`,
    `${Math.round(rate[0])}`,
    `${Math.round(rate[1])}`,
    number(rate[0] / rate[1]),
    `${pooled.errors.length} / ${fresh.errors.length}`,
    number(forwarder),
  ]);
  const messages = [...pooled.errors, ...fresh.errors].map(String);
  for (const message of new Set(messages)) {
    console.error(`  ${messages.filter((one) => one === message).length} times ${message}`);
  }
}

const folder = await mkdtemp(join(tmpdir(), 'bauta-bench-'));
const proxy = await startProxy(folder);
const proxyPort = Number(proxy.address.split(':')[1]);
const far = createSocket('udp4').bind(0, '127.0.0.1');
await once(far, 'listening');
const head = udpRequest(far.address().port);
const trust = { mode: 'ca', ca: await readFile(join(folder, 'cert.pem')) } as const;
const engine = createNativeEngine();
const driver = createHttpDriver({ clock: systemClock, engine: () => engine, resolve: async () => [] });
const path = await startPath(25, [proxyPort]);
const shortPath = await startPath(0, [proxyPort]);
const wayOf = ({ ways }: Path, version: 'h3' | 'h2'): number =>
  ways[0]?.[version === 'h3' ? 'udp' : 'tcp'] ?? 0;
/** Without delay the way is straight, but for crowds: the proxy takes 512 handshakes at once from one address. */
const portOf = (version: 'h3' | 'h2', delay: number, concurrent: number): number => {
  if (delay > 0) return wayOf(path, version);
  return concurrent > 500 ? wayOf(shortPath, version) : proxyPort;
};

await measureFloor(25);
for (const version of versions)
  await measurePhases(engine, { trust, serverName: 'localhost' }, version, wayOf(path, version), head);
row([
  '',
  'round trip',
  'at once',
  'pooled p50 / p99 ms',
  'fresh p50 / p99 ms',
  'pooled / fresh',
  'pooled /s',
  'fresh /s',
  'x',
  'errors',
  'forwarder cores',
]);
row(Array.from({ length: 11 }, () => '---'));
for (const version of versions) {
  for (const [at, delay] of delays.entries()) {
    for (const { concurrent, counts } of loads) {
      const port = portOf(version, delay, concurrent);
      const tls = { trust, serverName: 'localhost' };
      const target: UpstreamTarget = { host: '127.0.0.1', port, version, tls };
      const pool = createPool({ driver, clock: systemClock, random: Math.random, randomBytes: systemRandom });
      const openers: Record<Way, OpenTunnel> = {
        pooled: pooledOpener(pool, target, head),
        fresh: freshOpener(driver, target, head),
      };
      const count = values.quick ? concurrent : (counts[at] ?? concurrent);
      // The pool has what it needs, and the code is warm.
      await measureOpenings(openers.pooled, concurrent, concurrent);
      await measureOpenings(openers.fresh, Math.min(10, concurrent), concurrent);
      const results: Record<Way, Openings[]> = { pooled: [], fresh: [] };
      const used = async (): Promise<number> => (await path.cpu()) + (await shortPath.cpu());
      const [cpu, start] = [await used(), performance.now()];
      for (const order of orders) {
        for (const kind of order) results[kind].push(await measureOpenings(openers[kind], count, concurrent));
      }
      const cores = ((await used()) - cpu) / ((performance.now() - start) / 1_000);
      const what = [version, `${delay} ms`, concurrent.toLocaleString('en-US')];
      tell(what, merged(results.pooled), merged(results.fresh), cores);
      await pool.closeAll();
    }
  }
}
path.close();
shortPath.close();
far.close();
await engine.close();
await proxy.close();
await rm(folder, { recursive: true });
