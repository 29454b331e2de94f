import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failed, findingLines, ok } from '../../src/cli/doctor/finding.js';
import { errorLines } from '../../src/cli/report-error.js';
import { humanJournal } from '../../src/ops/journal.js';
import { BautaError } from '../../src/protocol/bauta-error.js';

/** What a proxy may put into a certificate or the reason of a close. */
const FOREIGN = 'going\n\u001b[2Aok  HTTP/3\u009b1m';

test('what a peer says forges no line and moves no cursor', () => {
  const told: string[] = [];
  const journal = humanJournal(
    (line) => told.push(line),
    (line) => told.push(line),
  );
  journal.tell({ event: 'x' }, FOREIGN);
  journal.warn({ event: 'x' }, FOREIGN);
  const error = new BautaError('ERR_CONNECTION_LOST', { detail: FOREIGN, hint: FOREIGN });
  told.push(...findingLines(failed('HTTP/3', error)));
  told.push(...findingLines(ok('QUIC certificate', `issued by ${FOREIGN}`)));
  told.push(...errorLines(error));
  assert.equal(told.length, 8);
  for (const line of told) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
    assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f]/);
  }
});

test('the stack of a defect keeps its lines', () => {
  const [first = ''] = errorLines(new BautaError('ERR_INTERNAL', { detail: 'Error: x\n    at y' }));
  assert.match(first, /Error: x\n {4}at y/);
});
