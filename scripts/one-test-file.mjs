// Goes along with each test file in its process: a reporter that notes what became of its tests, one JSON line
// each, and an end for a process that stays after a test failed, whose cleaning up is then not to be waited for.
import { after } from 'node:test';
import { inspect } from 'node:util';
import { isMainThread } from 'node:worker_threads';

/** How long the process may stay after its last test when one failed. */
const GRACE = 5_000;

const running = new Map();
let failed = false;

const handles = () => process.getActiveResourcesInfo().join(', ') || 'none';

// Children that a test forks are not to start with it, and threads do.
process.execArgv = [];
if (isMainThread) {
  after(() => {
    setTimeout(() => {
      if (!failed) return;
      console.error(`ended ${GRACE / 1_000} s after its last test; still active: ${handles()}`);
      process.exit(1);
    }, GRACE).unref();
  });

  // The runner's way to say that the time of the whole file is over.
  process.once('SIGTERM', () => {
    const tests = [...running.values()].map((names) => names.join(' > ')).join('; ') || 'none';
    console.error(`ended by SIGTERM; tests that run: ${tests}; still active: ${handles()}`);
    process.exit(1);
  });
}

const reasonOf = ({ error }) => {
  const cause = error?.cause ?? error;
  return cause instanceof Error ? inspect(cause) : String(cause);
};

// biome-ignore lint/style/noDefaultExport: node:test takes a reporter from here.
export default async function* noted(source) {
  const path = [];
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      path.splice(data.nesting, path.length, data.name);
      running.set(path.join('\n'), [...path]);
      continue;
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    path.splice(data.nesting, path.length, data.name);
    running.delete(path.join('\n'));
    if (type === 'test:fail') failed = true;
    const skipped = data.skip !== undefined;
    if (data.details.type === 'suite' && type === 'test:pass' && !skipped) continue;
    const outcome = type === 'test:fail' ? 'failed' : skipped ? 'skipped' : 'passed';
    const isParent = data.details.error?.failureType === 'subtestsFailed';
    yield `${JSON.stringify({
      outcome: isParent ? 'parent' : outcome,
      name: path.join(' > '),
      reason: outcome === 'failed' ? reasonOf(data.details) : undefined,
    })}\n`;
  }
}
