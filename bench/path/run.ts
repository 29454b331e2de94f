/* Measures transfers and datagrams over impaired paths; see ../README.md. */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { floodKinds } from './floods.js';
import { measureSeed, openStages, type Plan, type Told } from './measure.js';
import { pathKinds } from './paths.js';
import { quicProgram } from './stage.js';
import { floodTable, pathTable, transferTable } from './table.js';
import { transferKinds } from './transfers.js';

const usage = `Usage: npm run bench:path -- [options]       (root, for network namespaces)
  --only PART      what has PART in its PATH/NAME (loss/, tcp-h3, bottleneck/udp, ...), and what it is
                   compared with; repeatable
  --seeds N        runs of each, with random numbers from 1 to N (default 10)
  --megabytes N    size of a transfer (default 100)
  --limit SECONDS  a transfer that takes longer is cut off, and its rate until then counts (default 600)
  --at-once N      seeds that run at the same time, each in namespaces of its own (default 1)
  --congestion C   of the kernel's TCP over the path (default cubic)
  --quic-congestion C   of bauta's QUIC (default cubic)
  --json           every run and every failure as one JSON object a line instead of tables`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    seeds: { type: 'string', default: '10' },
    megabytes: { type: 'string', default: '100' },
    limit: { type: 'string', default: '600' },
    'at-once': { type: 'string', default: '1' },
    congestion: { type: 'string', default: 'cubic' },
    'quic-congestion': { type: 'string', default: 'cubic' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function sentence(told: Told): string {
  const run = `${told.path} ${told.seed}`;
  switch (told.event) {
    case 'probe':
      return `${run}: round trip ${told.probe.p50.toFixed(1)} ms, ${told.probe.answered} of ${told.probe.sent} came back`;
    case 'transfer':
      return `${run} ${told.name}: ${told.megabits.toFixed(2)} Mbit/s${told.cut ? ', cut off' : ''}${told.intact ? '' : ', WRONG BYTES'}`;
    case 'flood':
      return `${run} ${told.name}: ${told.delays.arrived} of ${told.offered}, one way ${told.delays.p50.toFixed(0)} ms, at most ${told.delays.max.toFixed(0)}`;
    case 'failed':
      return `${run} ${told.name}: ${told.error}`;
  }
}

async function main(): Promise<number> {
  // Each program is to die with this one.
  process.setMaxListeners(0);
  const numbers = [values.seeds, values.megabytes, values.limit, values['at-once']].map(Number);
  const [seeds = 0, megabytes = 0, limit = 0, atOnce = 0] = numbers;
  if (values.help || numbers.some((value) => !(value > 0))) {
    console.error(usage);
    return values.help ? 0 : 2;
  }
  if (process.getuid?.() !== 0) throw new Error('network namespaces need root');
  const quic = existsSync(quicProgram);
  if (!quic) throw new Error(`no ${quicProgram}: scripts/test-tools.sh builds it`);
  const wanted = (path: string, name: string): boolean =>
    values.only.length === 0 || values.only.some((part) => `${path}/${name}`.includes(part));
  const told: Told[] = [];
  const tell = (one: Told): void => {
    told.push(one);
    if (values.json) console.log(JSON.stringify(one));
    else console.error(sentence(one));
  };
  const units = pathKinds.flatMap((kind) => {
    const chosen = transferKinds.filter((one) => wanted(kind.name, one.name));
    const compared = new Set(chosen.flatMap((one) => [one.name, one.direct]));
    const plan: Plan = {
      transfers: transferKinds.filter((one) => compared.has(one.name)),
      floods: floodKinds.filter((one) => one.path === kind.name && wanted(kind.name, one.name)),
      bytes: megabytes * 1e6,
      limit,
      floodSeconds: 10,
      congestion: { tcp: values.congestion, quic: values['quic-congestion'] },
    };
    if (plan.transfers.length + plan.floods.length === 0) return [];
    return Array.from({ length: seeds }, (_, at) => ({ kind, seed: at + 1, plan }));
  });
  const work = async (): Promise<void> => {
    for (let unit = units.shift(); unit; unit = units.shift()) {
      await measureSeed(unit.kind, unit.seed, unit.plan, tell);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  if (!values.json) {
    const tables = [pathTable(told), transferTable(told, transferKinds), floodTable(told)];
    console.log(tables.filter((table) => table !== '').join('\n\n'));
  }
  const bad = told.some((one) => one.event === 'failed' || (one.event === 'transfer' && !one.intact));
  return bad ? 1 : 0;
}

const closeStages = async (): Promise<void> => {
  await Promise.allSettled([...openStages].map(async (stage) => stage[Symbol.asyncDispose]()));
};
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void closeStages().then(() => process.exit(130)));
}
const code = await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  return 1;
});
await closeStages();
process.exit(code);
