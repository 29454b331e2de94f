import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closest, editDistance } from '../../src/cli/closest-word.js';
import type { OptionSpec } from '../../src/cli/option-table.js';
import { readSeconds, readVersions } from '../../src/cli/option-values.js';
import { parseArguments } from '../../src/cli/parse-arguments.js';
import { BautaError } from '../../src/protocol/bauta-error.js';

const specs = [
  { name: 'listen', value: 'HOST:PORT', repeat: true, help: '' },
  { name: 'key', value: 'FILE', help: '' },
  { name: 'verbose', short: 'v', help: '' },
] as const satisfies readonly OptionSpec[];
const link = [{ name: 'LINK', optional: true, help: '' }] as const;

const parse = (...argv: string[]) => parseArguments(argv, specs, link, 'bauta x --help');

function refuses(pattern: RegExp, ...argv: string[]): void {
  assert.throws(
    () => parse(...argv),
    (error) => {
      assert.ok(error instanceof BautaError && error.code === 'ERR_USAGE');
      assert.match(`${error.message} ${error.hint}`, pattern);
      return true;
    },
  );
}

test('values come by name, in order, and with their defaults', () => {
  assert.deepEqual(parse(), { options: { listen: [], key: undefined, verbose: false }, positionals: [] });
  assert.deepEqual(parse('--listen', 'a', '-', '--listen=b', '-v', '--key', 'k'), {
    options: { listen: ['a', 'b'], key: 'k', verbose: true },
    positionals: ['-'],
  });
  assert.deepEqual(parse('--', '--listen').positionals, ['--listen']);
});

test('ERR_USAGE: each mistake has its own words', () => {
  refuses(/unknown option --lsiten.*Did you mean --listen\?/, '--lsiten', 'a');
  refuses(/unknown option --xyzzy.*bauta x --help/, '--xyzzy');
  refuses(/unknown option -q/, '-q');
  refuses(/--listen needs a value: --listen HOST:PORT/, '--listen');
  refuses(/--listen needs a value/, '--listen', '--verbose');
  refuses(/--verbose takes no value/, '--verbose=yes');
  refuses(/--key is given twice/, '--key', 'a', '--key', 'b');
  refuses(/one argument too many: two/, 'one', 'two');
  refuses(/one argument too many: https:\/\/\*\*\*@host\//, 'one', 'https://name:secret@host/');
  assert.throws(() => parseArguments([], specs, [{ name: 'LINK', help: '' }], 'h'), /LINK is missing/);
});

test('the nearest word is suggested, and a far one is not', () => {
  assert.deepEqual(
    ['fro', 'form', ''].map((word) => editDistance(word, 'from')),
    [1, 1, 4],
  );
  assert.equal(closest('lis', ['listen', 'key']), 'listen');
  assert.equal(closest('versoin', ['versions', 'verbose']), 'versions');
  assert.equal(closest('socks', ['listen', 'key']), undefined);
});

test('seconds and versions', () => {
  assert.deepEqual(
    [readSeconds('x', undefined, 7), readSeconds('x', '0', 7), readSeconds('x', '1.5', 7)],
    [7, 0, 1_500],
  );
  for (const bad of ['', '-1', '1e3', 'soon', '86401'])
    assert.throws(() => readSeconds('x', bad, 7), /ERR_USAGE|not a number/);
  assert.deepEqual(readVersions(undefined), ['h3', 'h2', 'h1']);
  assert.deepEqual(readVersions('1, 3,1'), ['h1', 'h3']);
  for (const bad of ['', '4', '3,', 'h3']) assert.throws(() => readVersions(bad), /not a list of 3, 2 and 1/);
});
