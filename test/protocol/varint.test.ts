import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  encodeVarint,
  INCOMPLETE,
  readVarint,
  VarintReader,
  varintLength,
  varintSize,
  writeVarint,
} from '../../src/protocol/varint.js';
import { cut, hex, toHex } from './bytes.js';

const read = (text: string): number => {
  const bytes = hex(text);
  return readVarint(bytes, 0, bytes.length);
};

test('the examples of RFC 9000 appendix A.1', () => {
  // 151,288,809,941,952,652, more than a number holds exactly.
  assert.equal(read('c2197c5eff14e88c'), Number.POSITIVE_INFINITY);
  assert.equal(read('9d7f3e7d'), 494_878_333);
  assert.equal(read('7bbd'), 15_293);
  assert.equal(read('25'), 37);
  assert.equal(read('4025'), 37);
});

test('values at the edges of each size', () => {
  const edges: [number, string][] = [
    [0, '00'],
    [63, '3f'],
    [64, '4040'],
    [16_383, '7fff'],
    [16_384, '80004000'],
    [2 ** 30 - 1, 'bfffffff'],
    [2 ** 30, 'c000000040000000'],
    [2 ** 32, 'c000000100000000'],
    [Number.MAX_SAFE_INTEGER, 'c01fffffffffffff'],
  ];
  for (const [value, text] of edges) {
    assert.equal(toHex(encodeVarint(value)), text);
    assert.equal(read(text), value);
    assert.equal(varintSize(value), text.length / 2);
  }
});

test('a value above 2^53 - 1 reads as Infinity, and cannot be written', () => {
  assert.equal(read('c020000000000000'), Number.POSITIVE_INFINITY);
  assert.equal(read('ffffffffffffffff'), Number.POSITIVE_INFINITY);
  for (const value of [2 ** 53, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => encodeVarint(value), RangeError);
  }
});

test('bytes outside the range are not read', () => {
  const bytes = hex('ff 7bbd ff');
  assert.equal(readVarint(bytes, 1, 3), 15_293);
  assert.equal(readVarint(bytes, 1, 2), INCOMPLETE);
  assert.equal(readVarint(bytes, 2, 2), INCOMPLETE);
});

test('a round trip at any offset, whole and cut anywhere', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.nat(5), fc.array(fc.nat(8)), (value, at, places) => {
      const bytes = new Uint8Array(at + 8);
      const end = writeVarint(bytes, at, value);
      assert.equal(readVarint(bytes, at, end), value);
      assert.equal(varintLength(bytes[at] ?? 0), end - at);
      const reader = new VarintReader();
      let done = false;
      for (const [piece, start, stop] of cut(bytes.subarray(at, end), places)) {
        const after = reader.read(piece, start, stop);
        assert.equal(done, done && after === INCOMPLETE);
        if (after !== INCOMPLETE) {
          assert.equal(after, stop);
          done = true;
        }
      }
      assert.ok(done && !reader.partial);
      assert.equal(reader.value, value);
    }),
  );
});

test('a value in more bytes than it needs is read alike', () => {
  fc.assert(
    fc.property(fc.nat(0x3fffffff), (value) => {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, 0xc000000000000000n | BigInt(value));
      assert.equal(readVarint(bytes, 0, 8), value);
    }),
  );
});
