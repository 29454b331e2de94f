// Lists each rule (S, W) and row (O, P, R, C) with the tests whose titles begin with its number,
// and fails when a required one has none.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const range = (letter, from, to) => Array.from({ length: to - from + 1 }, (_, i) => `${letter}${from + i}`);

/** Rules and rows that the finished capabilities must cover. */
const required = [
  ...range('S', 1, 14),
  ...range('S', 24, 27),
  ...range('W', 1, 13),
  ...range('O', 1, 15),
  ...range('P', 1, 11),
  ...range('R', 1, 5),
  ...range('C', 1, 9),
];

const titles = new Map();
for (const name of readdirSync('test', { recursive: true })) {
  if (!name.endsWith('.ts')) continue;
  const text = readFileSync(join('test', name), 'utf8');
  for (const match of text.matchAll(/\b(?:test|it|rule)\(\s*(['"`])((?:[SWOPRC]\d+(?:, ?)?)+): (.*?)\1/gs)) {
    for (const row of match[2].split(/, ?/)) {
      if (!titles.has(row)) titles.set(row, []);
      titles.get(row).push(`${name}: ${match[3].replace(/\s+/g, ' ')}`);
    }
  }
}

const rows = [...new Set([...required, ...titles.keys()])].sort(
  (a, b) => a[0].localeCompare(b[0]) || Number(a.slice(1)) - Number(b.slice(1)),
);
const empty = required.filter((row) => !titles.has(row));
for (const row of rows) {
  const tests = titles.get(row) ?? [];
  console.log(`${row}  ${tests.length === 0 ? '(none)' : ''}`);
  for (const title of tests) console.log(`    ${title}`);
}
console.log(`${rows.length} rows, ${required.length} required, ${empty.length} of them empty`);
if (empty.length > 0) {
  console.error(`no test for: ${empty.join(', ')}`);
  process.exit(1);
}
