// Writes the documentation's list of errors from the error table.
//   node scripts/error-docs.mjs [--check] [BUILD]
// Prints the page; with --check, fails when docs/errors.md is another. BUILD is the compiled tree, by default dist.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const options = process.argv.slice(2);
const check = options.includes('--check');
const build = options.find((option) => !option.startsWith('--')) ?? 'dist';

const { failures } = await import(pathToFileURL(resolve(root, build, 'src/protocol/failures.js')).href);

const exits = [
  [2, 'usage'],
  [3, 'the proxy is unreachable'],
  [4, "the proxy's identity"],
  [5, 'credentials'],
  [6, 'policy'],
  [7, 'the target'],
  [1, 'anything else'],
];

const cell = (value) => (value === undefined ? '' : String(value).replaceAll('|', '\\|'));
const code = (value) => (value === undefined ? '' : `\`${value}\``);

const lines = [
  '# Errors',
  '',
  '<!-- Written by scripts/error-docs.mjs from src/protocol/failures.ts. -->',
  '',
  'Every error that a program is told of has one of these codes: it is `code` of a `BautaError`. Codes are',
  'neither renamed nor given another meaning. HTTP status and Proxy-Status (RFC 9209) are what a proxy answers',
  'with, the SOCKS reply (RFC 1928) is what a local front-end answers with, and a command ends with the exit code.',
  'Where a cell is empty there is nothing to answer, or nothing to try.',
];
for (const [exit, meaning] of exits) {
  const rows = Object.entries(failures).filter(([, failure]) => failure.exit === exit);
  if (rows.length === 0) continue;
  lines.push('', `## Exit code ${exit}: ${meaning}`, '');
  lines.push('| Code | What it means | What to try | HTTP status | Proxy-Status | SOCKS reply |');
  lines.push('|---|---|---|---|---|---|');
  for (const [name, failure] of rows) {
    const { sentence, hint, status, proxyStatus, socks } = failure;
    const cells = [code(name), cell(sentence), cell(hint), cell(status), code(proxyStatus), cell(socks)];
    lines.push(`| ${cells.join(' | ')} |`);
  }
}
const page = `${lines.join('\n')}\n`;

if (!check) {
  process.stdout.write(page);
} else {
  const kept = readFileSync(resolve(root, 'docs/errors.md'), 'utf8');
  if (kept !== page) {
    console.error(
      'docs/errors.md is not what the error table says; run: node scripts/error-docs.mjs > docs/errors.md',
    );
    process.exitCode = 1;
  }
}
