/* Runs the benchmarks; see README.md. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Case, chooseCases } from './cases.js';
import { findLoadProgram, type LoadResult, runLoad } from './load-program.js';
import { type Subject, startSubject, startTarget } from './subjects.js';
import { formatTable, rowsOf } from './table.js';

const usage = `Usage: npm run bench -- [options]
  --only PART     cases whose name contains PART, and their floors; repeatable
  --secs SECONDS  length of one run (default 2)
  --runs COUNT    runs of each case (default 3)
  --load PATH     the masque-load program (or MASQUE_LOAD)
  --json          one JSON object a line: each run, then each row`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    secs: { type: 'string', default: '2' },
    runs: { type: 'string', default: '3' },
    load: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

/** Seconds before a run is measured, in which the proxy's code becomes warm. */
const WARMUP = 0.8;

/** Cores that strangers may take during a run before it is repeated, and how often it is. */
const DISTURBED = 0.2;
const REPEATS = 2;

/** Seconds that a run may take besides: opening tunnels, the first connection. */
const SLACK = 30;

async function measure(one: Case, program: string, folder: string, target: Subject): Promise<LoadResult> {
  const { warmup = WARMUP } = one;
  const subject = await startSubject(one.subject, program, folder, target);
  try {
    const args = [...one.args, '--proxy', subject.address, '--pid', String(subject.pid)];
    const targetPort = target.address.split(':')[1] ?? '';
    if (one.target) args.push('--target-pid', String(target.pid), '--target-port', targetPort);
    args.push('--secs', values.secs, '--warmup', String(warmup), '--label', one.name);
    return await runLoad(program, args, Number(values.secs) + warmup + SLACK);
  } finally {
    await subject.close();
  }
}

const foreign = (result: LoadResult): number => Number(result['foreign_cores'] ?? 0);

/** Measures; again when strangers disturbed the machine, and then the least disturbed run counts. */
async function measureInPeace(...what: Parameters<typeof measure>): Promise<LoadResult> {
  let best = await measure(...what);
  const repeats = what[0].accompanied ? 0 : REPEATS;
  for (let repeat = 0; repeat < repeats && foreign(best) > DISTURBED; repeat++) {
    const next = await measure(...what);
    if (foreign(next) < foreign(best)) best = next;
  }
  return best;
}

async function main(): Promise<number> {
  const [seconds, count] = [Number(values.secs), Number(values.runs)];
  const chosen = chooseCases(values.only);
  if (values.help || !(seconds > 0) || !Number.isInteger(count) || count < 1 || chosen.length === 0) {
    console.error(chosen.length === 0 ? `no case has such a name\n${usage}` : usage);
    return values.help ? 0 : 2;
  }
  const program = findLoadProgram(values.load);
  const folder = await mkdtemp(join(tmpdir(), 'bauta-bench-'));
  const runs = new Map<string, LoadResult[]>(chosen.map(({ name }) => [name, []]));
  let failures = 0;
  const target = await startTarget(program);
  try {
    // A proxy leaves the certificate that the QUIC floor serves with.
    await (await startSubject('proxy', program, folder, target)).close();
    for (let round = 1; round <= count; round++) {
      // All cases in turn, every second round backwards: what disturbs the machine disturbs them alike.
      for (const one of round % 2 === 0 ? [...chosen].reverse() : chosen) {
        try {
          const result = await measureInPeace(one, program, folder, target);
          runs.get(one.name)?.push(result);
          if (values.json) console.log(JSON.stringify({ event: 'run', case: one.name, round, result }));
          else console.error(`${round}/${count} ${one.name}: ${String(result[one.figure])} ${one.unit}`);
        } catch (error) {
          failures++;
          console.error(error instanceof Error ? error.message : String(error));
        }
      }
    }
  } finally {
    await target.close();
    await rm(folder, { recursive: true });
  }
  const rows = rowsOf(chosen, runs);
  if (values.json) for (const row of rows) console.log(JSON.stringify({ event: 'row', ...row }));
  else console.log(formatTable(rows));
  return failures > 0 ? 1 : 0;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
