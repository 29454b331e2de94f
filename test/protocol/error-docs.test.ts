import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { failures } from '../../src/protocol/failures.js';

const run = promisify(execFile);
/** The compiled tree that this test is part of. */
const build = fileURLToPath(new URL('../..', import.meta.url));
const root = resolve(build, '..');
const script = resolve(root, 'scripts/error-docs.mjs');

test('docs/errors.md is what the error table says', { timeout: 120_000 }, async () => {
  await run(process.execPath, [script, '--check', build]);
});

test('the page has every code once', { timeout: 120_000 }, () => {
  const page = readFileSync(resolve(root, 'docs/errors.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `(ERR_[A-Z_]+)` \|/gm)].map(([, code]) => code);
  assert.deepEqual(rows.toSorted(), Object.keys(failures).toSorted());
});
