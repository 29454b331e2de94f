/* What the proxy's process holds for idle tunnels and connections, and what is left after many; see ../README.md. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { RequestHead } from '../../src/http/request.js';
import type { UpstreamTarget } from '../../src/upstream/index.js';
import { startProgram } from '../own-program.js';
import { markdownTable } from '../tcp/table.js';
import { udpRequest } from '../upstream/openers.js';
import { type Crowd, createCrowd } from './crowd.js';
import { type KernelMemory, kernelMemory } from './kernel-memory.js';
import { type MeasuredProxy, type ProxyMemory, startMeasuredProxy } from './proxy-memory.js';

const usage = `Usage: npm run bench:memory -- [options]
  --only PART    udp, tcp, connections or churn; repeatable
  --count COUNT  tunnels, and connections (default 10000)
  --churn COUNT  tunnels opened and ended one after the other (default 200000)
  --version V    h3, h2 or h1 (default h3)`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: ['udp', 'tcp', 'connections', 'churn'] },
    count: { type: 'string', default: '10000' },
    churn: { type: 'string', default: '200000' },
    version: { type: 'string', default: 'h3' },
    help: { type: 'boolean', default: false },
  },
});
const [count, churn] = [Number(values.count), Number(values.churn)];
const version = (['h3', 'h2', 'h1'] as const).find((one) => one === values.version);

/** Connections that carry the tunnels, and tunnels that make the code warm before anything is measured. */
const CONNECTIONS = 25;
const WARM_TUNNELS = 2_000;
const WARM_CONNECTIONS = 200;
/** Milliseconds until timers of what has ended are over. */
const SETTLE = 4_000;
/** Tunnels of the churn: opened, then ended, and so on. */
const ROUND = 1_000;

interface Stage {
  readonly proxy: MeasuredProxy;
  readonly crowd: Crowd;
}

interface Held {
  readonly proxy: ProxyMemory;
  readonly kernel: KernelMemory;
}

async function held(proxy: MeasuredProxy): Promise<Held> {
  await wait(SETTLE);
  return { proxy: await proxy.memory(), kernel: kernelMemory() };
}

const kib = (from: number, to: number, among: number): string => ((to - from) / 1_024 / among).toFixed(1);

function rowOf(what: string, among: number, before: Held, after: Held): string[] {
  return [
    what,
    `${among}`,
    kib(before.proxy.rss, after.proxy.rss, among),
    kib(before.proxy.heapUsed, after.proxy.heapUsed, among),
    ((after.kernel.objects - before.kernel.objects) / among).toFixed(1),
    ((after.kernel.buffers - before.kernel.buffers) / among).toFixed(1),
  ];
}

async function measureTunnels({ proxy, crowd }: Stage, what: string, head: RequestHead): Promise<string[]> {
  await crowd.connect(CONNECTIONS);
  await crowd.open(head, WARM_TUNNELS);
  await crowd.end();
  const before = await held(proxy);
  await crowd.open(head, count);
  const after = await held(proxy);
  return rowOf(what, count, before, after);
}

async function measureConnections({ proxy, crowd }: Stage): Promise<string[]> {
  await crowd.connect(WARM_CONNECTIONS);
  const before = await held(proxy);
  await crowd.connect(count);
  const after = await held(proxy);
  return rowOf(`connection (${version})`, count, before, after);
}

async function measureChurn({ proxy, crowd }: Stage, head: RequestHead): Promise<void> {
  const lines = [['opened and ended', 'resident MiB', 'of it JavaScript', 'to the first 20,000', 'seconds']];
  const first = Math.min(20_000, churn);
  const steps = Array.from({ length: 5 }, (_, at) => first + Math.round(((churn - first) * at) / 4));
  await crowd.connect(CONNECTIONS);
  const began = performance.now();
  let done = 0;
  let base = 0;
  for (const step of new Set(steps)) {
    while (done < step) {
      const round = Math.min(ROUND, step - done);
      await crowd.open(head, round);
      await crowd.end();
      done += round;
    }
    const { proxy: now } = await held(proxy);
    base ||= now.rss;
    const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
    const seconds = ((performance.now() - began) / 1_000).toFixed(0);
    lines.push([`${done}`, mib(now.rss), mib(now.heapUsed), (now.rss / base).toFixed(3), seconds]);
  }
  console.log(`\n${markdownTable(lines)}`);
}

async function main(
  target: (proxy: MeasuredProxy) => Promise<UpstreamTarget>,
  folder: string,
): Promise<void> {
  const far = createSocket('udp4').bind(0, '127.0.0.1');
  await once(far, 'listening');
  const deaf = await startProgram('tcp/target-process.js', ['deaf']);
  const udp = udpRequest(far.address().port);
  const tcp: RequestHead = { kind: 'connect', authority: deaf.address, fields: [] };
  /** A fresh proxy and a fresh crowd for each. */
  const onStage = async <T>(measure: (stage: Stage) => Promise<T>): Promise<T> => {
    const limits = { connectionsPerAddress: 20_000 };
    const proxy = await startMeasuredProxy(folder, { limits });
    const crowd = createCrowd(await target(proxy));
    try {
      return await measure({ proxy, crowd });
    } finally {
      await proxy.close();
      await crowd.close();
    }
  };
  const wanted = (what: string): boolean => values.only.includes(what);
  const lines = [
    ['idle', 'of', 'resident KiB each', 'of it JavaScript', 'kernel objects KiB', 'kernel buffers KiB'],
  ];
  try {
    if (wanted('udp')) lines.push(await onStage((stage) => measureTunnels(stage, 'UDP tunnel', udp)));
    if (wanted('tcp')) lines.push(await onStage((stage) => measureTunnels(stage, 'TCP tunnel', tcp)));
    if (wanted('connections')) lines.push(await onStage(measureConnections));
    if (lines.length > 1) console.log(markdownTable(lines));
    if (wanted('churn')) await onStage((stage) => measureChurn(stage, udp));
  } finally {
    far.close();
    await deaf.close();
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
if (values.help || !version || !(count > 0) || !(churn > 0)) {
  console.error(usage);
  process.exitCode = values.help ? 0 : 2;
} else {
  const folder = await mkdtemp(join(tmpdir(), 'bauta-bench-'));
  try {
    await main(async ({ port }) => {
      const trust = { mode: 'ca', ca: await readFile(join(folder, 'cert.pem')) } as const;
      return { host: '127.0.0.1', port, version, tls: { trust, serverName: 'localhost' } };
    }, folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}
