import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quarterStreamIdPrefix, readQuarterStreamId } from '../../src/protocol/h3-datagram.js';
import { H3Error } from '../../src/protocol/h3-error.js';
import { h3StreamKind, isCriticalStream } from '../../src/protocol/h3-stream-type.js';
import { hex, toHex } from './bytes.js';

const read = (text: string): number => {
  const bytes = hex(text);
  return readQuarterStreamId(bytes, 0, bytes.length);
};

test('S1: a quarter stream id above 2^60 - 1, or none, is H3_DATAGRAM_ERROR', () => {
  for (const text of ['', '40', 'c0000000', 'd000000000000000', 'e000000000000000', 'ffffffffffffffff']) {
    assert.throws(
      () => read(text),
      (error) =>
        error instanceof H3Error && error.codeName === 'H3_DATAGRAM_ERROR' && error.scope === 'connection',
      text,
    );
  }
});

test('S1: every lower quarter stream id is read', () => {
  assert.equal(read('00'), 0);
  assert.equal(read('4040ff'), 64);
  assert.equal(read('c01fffffffffffff'), Number.MAX_SAFE_INTEGER);
  assert.equal(read('cfffffffffffffff'), Number.POSITIVE_INFINITY);
  assert.equal(toHex(quarterStreamIdPrefix(0)), '00');
  assert.equal(toHex(quarterStreamIdPrefix(256)), '4040');
});

test('kinds of unidirectional streams', () => {
  assert.deepEqual([0, 1, 2, 3, 0x21, Number.POSITIVE_INFINITY].map(h3StreamKind), [
    'control',
    'push',
    'qpack-encoder',
    'qpack-decoder',
    'unknown',
    'unknown',
  ]);
  assert.deepEqual([0, 1, 2, 3, 0x21].map(isCriticalStream), [true, false, true, true, false]);
});
