/* Runs the TCP benchmarks; see ../README.md. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { publicKeyPin } from '../../src/ops/public-key-pin.js';
import { findLoadProgram } from '../load-program.js';
import { startProgram } from '../own-program.js';
import { type Case, chooseCases } from './cases.js';
import { runNeutralLoad, runOwnLoad } from './load.js';
import { measureSlowReaders } from './slow-readers.js';
import { measureStalledStreams } from './stalled-streams.js';
import { installed, type Subject, type SubjectName, startSubject, subjectNames } from './subjects.js';
import { formatTable, rowsOf } from './table.js';
import type { Transfer } from './transfer.js';

const usage = `Usage: npm run bench:tcp -- [options]
  --only PART     cases whose name contains PART (h2-down, up-8, slow-readers, stalled, ...), and what they are
                  compared with; repeatable
  --without NAME  leave a peer out (envoy, socat, bare-node); repeatable
  --secs SECONDS  length of one run (default 2)
  --runs COUNT    runs of each case (default 3)
  --load PATH     load through proxies by the masque-load program (or MASQUE_LOAD) instead of bauta's own client
  --json          one JSON object a line`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    without: { type: 'string', multiple: true, default: [] },
    secs: { type: 'string', default: '2' },
    runs: { type: 'string', default: '3' },
    load: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const WARM_UP = 0.6;

const say = (text: string, event: Record<string, unknown>): void => {
  if (values.json) console.log(JSON.stringify(event));
  else console.error(text);
};

async function measureTransfers(
  chosen: readonly Case[],
  pin: string,
  subjects: ReadonlyMap<SubjectName, Subject>,
  target: Subject,
  neutral: string | undefined,
): Promise<number> {
  const runs = new Map<Case, Transfer[]>(chosen.map((one) => [one, []]));
  const count = Number(values.runs);
  let failures = 0;
  for (let round = 1; round <= count; round++) {
    // All in turn, every second round backwards: what disturbs the machine disturbs them alike.
    for (const one of round % 2 === 0 ? [...chosen].reverse() : chosen) {
      const subject = subjects.get(one.subject);
      if (!subject) continue;
      const plan = {
        transport: one.transport,
        direction: one.direction,
        streams: one.streams,
        address: subject.address,
        pid: subject.pid,
        pin,
        target: target.address,
        targetPid: target.pid,
        seconds: Number(values.secs),
        warmUp: WARM_UP,
      };
      try {
        const run =
          neutral === undefined || one.transport === 'plain'
            ? await runOwnLoad(plan)
            : await runNeutralLoad(neutral, plan);
        runs.get(one)?.push(run);
        say(
          `${round}/${count} ${one.name}: ${run.megabytesPerSecond.toFixed(0)} MB/s, ${run.serverSecondsPerGb.toFixed(2)} s/GB`,
          { event: 'run', case: one.name, round, ...run },
        );
      } catch (error) {
        failures += 1;
        const text = error instanceof Error ? error.message : String(error);
        say(`${one.name}: ${text}`, { event: 'failed', case: one.name, round, error: text });
      }
    }
  }
  const rows = rowsOf(chosen, runs);
  if (values.json) for (const row of rows) console.log(JSON.stringify({ event: 'row', ...row }));
  else if (rows.length > 0) console.log(formatTable(rows));
  return failures;
}

async function main(): Promise<number> {
  const [seconds, count] = [Number(values.secs), Number(values.runs)];
  if (values.help || !(seconds > 0) || !Number.isInteger(count) || count < 1) {
    console.error(usage);
    return values.help ? 0 : 2;
  }
  const given = values.load ?? process.env['MASQUE_LOAD'];
  const neutral = given === undefined ? undefined : findLoadProgram(given);
  const present = new Set<SubjectName>();
  for (const name of subjectNames) {
    if (values.without.includes(name)) continue;
    if (installed(name)) present.add(name);
    else say(`${name} is not installed: left out`, { event: 'absent', name });
  }
  const wanted = (name: string): boolean =>
    values.only.length === 0 || values.only.some((part) => name.includes(part) || part.includes(name));
  const transfers = values.only.filter((part) => !/slow-readers|stalled/.test(part));
  const chosen = values.only.length > 0 && transfers.length === 0 ? [] : chooseCases(transfers, present);
  const folder = await mkdtemp(join(tmpdir(), 'bauta-bench-'));
  const subjects = new Map<SubjectName, Subject>();
  const target = await startProgram('tcp/target-process.js', []);
  let failures = 0;
  try {
    const needed = new Set<SubjectName>(['bauta', ...chosen.map((one) => one.subject)]);
    for (const name of subjectNames) {
      if (needed.has(name)) subjects.set(name, await startSubject(name, folder, target));
    }
    const pin = publicKeyPin(await readFile(join(folder, 'cert.pem'), 'utf8'));
    failures += await measureTransfers(chosen, pin, subjects, target, neutral);
    for (const subject of subjects.values()) await subject.close();
    if (wanted('stalled')) await measureStalledStreams(seconds, count, values.json);
    if (wanted('slow-readers')) await measureSlowReaders(values.json);
  } finally {
    for (const subject of subjects.values()) await subject.close();
    await target.close();
    await rm(folder, { recursive: true });
  }
  return failures > 0 ? 1 : 0;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
