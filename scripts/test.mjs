// Runs the tests of dist/test: all, or those whose path contains one of the arguments.
// Options: --dir DIR (a build folder other than dist), --slow (also the *.slow.test files), --times (every
// file's time, not only those of the slowest).
// A file is a process; three times as many run at once as there are processors, since they wait for most of their
// time, and those that measure run by themselves.
// A few files that failed beside others run once more by themselves: one that passes then is listed as unsteady,
// with its first failure printed, and does not fail the run. More than a few are no accident and are not run again.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/** Files whose bounds are on time or speed: nothing else runs beside them. */
const alone = [/\.slow\.test\.js$/, /^faults.stalls\.test\.js$/, /^proxy.authentication\.test\.js$/];
/** Of a whole file, in milliseconds: a bound on what hangs, not on what is slow. */
const limits = { plain: 600_000, slow: 1_200_000 };
const mostRunAgain = 4;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dir: { type: 'string', default: 'dist' },
    slow: { type: 'boolean', default: false },
    times: { type: 'boolean', default: false },
  },
});

const root = join(values.dir, 'test');
const files = readdirSync(root, { recursive: true })
  .filter((name) => name.endsWith('.test.js'))
  .filter((name) => values.slow || !name.endsWith('.slow.test.js'))
  .filter((name) => positionals.length === 0 || positionals.some((part) => name.includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`no test file under ${root} matches ${positionals.join(' ')}`);
  process.exit(1);
}

const companion = new URL('./one-test-file.mjs', import.meta.url).href;
const notes = mkdtempSync(join(tmpdir(), 'bauta-tests-'));
const running = new Set();
const done = [];
const began = performance.now();
const seconds = (milliseconds) => `${(milliseconds / 1_000).toFixed(1)} s`;

function noted(file) {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  } catch {
    return [];
  }
}

/** The summary of one file is of no use between others. */
const withoutSummary = (text) =>
  text.replace(/^ℹ (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+\n/gm, '');

function runFile(name) {
  const results = join(notes, `${done.length + running.size}-${name.replaceAll(/[/\\]/g, '-')}`);
  const started = performance.now();
  const child = spawn(
    process.execPath,
    [
      `--import=${companion}`,
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      `--test-reporter=${companion}`,
      `--test-reporter-destination=${results}`,
      join(root, name),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, FORCE_COLOR: '0' } },
  );
  running.add(child);
  const chunks = [];
  for (const output of [child.stdout, child.stderr]) output.on('data', (chunk) => chunks.push(chunk));
  const limit = name.endsWith('.slow.test.js') ? limits.slow : limits.plain;
  let late = false;
  const end = setTimeout(() => {
    late = true;
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), 10_000).unref();
  }, limit);
  return new Promise((resolve) => {
    // What a child of the file has inherited may keep its pipes open for longer than it lives.
    child.once('exit', (code, signal) => {
      clearTimeout(end);
      setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, 2_000).unref();
      child.once('close', () => {
        running.delete(child);
        const took = performance.now() - started;
        const tests = noted(results);
        const failures = tests.filter(({ outcome }) => outcome === 'failed');
        const ended = late ? `did not end within ${seconds(limit)}` : `ended with ${signal ?? code}`;
        if (code !== 0 && (late || failures.length === 0)) failures.push({ name: '(file)', reason: ended });
        if (tests.length === 0 && code === 0) failures.push({ name: '(file)', reason: 'no test ran' });
        done.push({ name, took, tests, failures });
        process.stdout.write(`\n-- ${name} (${seconds(took)}, ${done.length} of ${files.length})\n`);
        process.stdout.write(withoutSummary(Buffer.concat(chunks).toString()));
        resolve();
      });
    });
  });
}

async function runAll(names, atOnce) {
  const left = [...names];
  const lane = async () => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) await runFile(name);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    for (const child of running) child.kill('SIGKILL');
    process.exit(1);
  });
}

const byItself = (name) => alone.some((pattern) => pattern.test(name));
await runAll(
  files.filter((name) => !byItself(name)),
  3 * availableParallelism(),
);
await runAll(files.filter(byItself), 1);

const failedOf = (files) =>
  files.flatMap(({ name, failures }) => failures.map((failure) => ({ file: name, ...failure })));
const printFailures = (title, failures) => {
  for (const { file, name, reason } of failures) {
    console.log(`\n${title}: ${file}: ${name}\n${reason.replaceAll(/^/gm, '    ')}`);
  }
};
const unsteady = [];
const once = done.filter(({ failures }) => failures.length > 0);
if (once.length > 0 && once.length <= mostRunAgain) {
  for (const first of once) {
    console.log(`\n${first.name} failed; it runs once more by itself`);
    done.splice(done.indexOf(first), 1);
    await runFile(first.name);
    if (done.at(-1).failures.length === 0) unsteady.push(first);
  }
}
rmSync(notes, { recursive: true, force: true });

const slowest = [...done].sort((a, b) => b.took - a.took).slice(0, values.times ? undefined : 15);
console.log('\nthe slowest files');
for (const { name, took } of slowest) console.log(`${seconds(took).padStart(9)}  ${name}`);

printFailures('unsteady, passed by itself', failedOf(unsteady));
const failures = failedOf(done);
printFailures('failed', failures);
const count = (wanted) =>
  done.reduce((sum, { tests }) => sum + tests.filter(({ outcome }) => outcome === wanted).length, 0);
console.log(
  `\n${files.length} files in ${seconds(performance.now() - began)}: ${count('passed')} tests passed, ` +
    `${count('skipped')} skipped, ${failures.length} failed` +
    (unsteady.length === 0 ? '' : `, ${unsteady.length} files unsteady`),
);
process.exit(failures.length === 0 ? 0 : 1);
