import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Fields } from '../../../src/protocol/fields.js';
import { H2Error } from '../../../src/protocol/h2-error.js';
import { createHpackDecoder } from '../../../src/protocol/hpack/decoder.js';
import { createDynamicTable } from '../../../src/protocol/hpack/dynamic-table.js';
import { createHpackEncoder } from '../../../src/protocol/hpack/encoder.js';
import { staticTable } from '../../../src/protocol/hpack/static-table.js';
import { hex, toHex } from '../bytes.js';

/** Decodes blocks in order; the last one's fields. */
const decode = (blocks: readonly string[], maxSize = 65_536, tableSize?: number): Fields => {
  const decoder = createHpackDecoder(tableSize);
  let fields: Fields = [];
  for (const block of blocks) {
    const bytes = hex(block);
    fields = decoder.decode(bytes, 0, bytes.length, maxSize).fields;
  }
  return fields;
};

const fails = (...blocks: string[]): void => {
  assert.throws(
    () => decode(blocks),
    (error) => error instanceof H2Error && error.code === 0x9,
    blocks.join(' | '),
  );
};

test('blocks cut short, indices in no table and integers without end are refused', () => {
  for (const block of [
    '80', // index 0
    'be', // the first of an empty dynamic table
    'ff00', // index 127
    'ff',
    '40',
    '4001',
    '400161',
    '4001 6105 62',
    '7f',
    '00 8100 00', // Huffman, padding of zeros
    '00 84ffffffff 00', // EOS
    'ffffffffffffffffffffff01',
    'ff80808080808080808080808000',
  ]) {
    fails(block);
  }
});

test('the table changes its size at the beginning of a block only, and never above the limit', () => {
  assert.deepEqual(decode(['20 3fe11f 82']), [[':method', 'GET']]);
  fails('82 20');
  fails('3fe21f');
  // What was evicted is gone.
  const line = '4001 6101 62';
  assert.deepEqual(decode([line, 'be']), [['a', 'b']]);
  fails(line, '20 be');
  fails(line, '20 3fe11f be');
});

test('an entry larger than the table empties it', () => {
  const table = createDynamicTable(70);
  table.add(['a', 'b']);
  table.add(['c', 'd']);
  assert.deepEqual([table.at(0), table.at(1), table.size], [['c', 'd'], ['a', 'b'], 68]);
  table.add(['e', 'f'.repeat(38)]);
  assert.deepEqual([table.at(0), table.size], [undefined, 0]);
});

test('a section over the limit is told, and what it adds to the table counts', () => {
  const decoder = createHpackDecoder();
  const long = `4001 61 7f01 ${'62'.repeat(128)}`;
  const block = hex(`82 ${long} 4001 6301 64`);
  const told = decoder.decode(block, 0, block.length, 100);
  assert.deepEqual(told, { fields: [[':method', 'GET']], oversized: true });
  assert.deepEqual(decoder.decode(hex('bebf'), 0, 2, 1_000).fields, [
    ['c', 'd'],
    ['a', 'b'.repeat(128)],
  ]);
});

test('the first block gives the dynamic table up; lines are indexed, or literals with an indexed name', () => {
  const { encode } = createHpackEncoder();
  const fields: Fields = [
    [':method', 'CONNECT'],
    [':scheme', 'https'],
    ['x', '{}'],
  ];
  assert.equal(toHex(encode(fields)), '200207434f4e4e45435487000178027b7d');
  assert.equal(toHex(encode([[':status', '200']])), '88');
});

test('credentials are marked never to be indexed', () => {
  const { encode } = createHpackEncoder();
  encode([]);
  for (const name of ['authorization', 'proxy-authorization', 'cookie', 'set-cookie']) {
    assert.equal((encode([[name, 'x']])[0] ?? 0) & 0xf0, 0x10, name);
  }
  assert.equal(encode([['x-other', 'x']])[0], 0);
});

test('characters that are no bytes are not encoded, and the next block is the first', () => {
  const { encode } = createHpackEncoder();
  assert.throws(() => encode([['x', '\u0100']]), RangeError);
  assert.equal(encode([])[0], 0x20);
});

const text = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const known = fc.nat(staticTable.length - 1).map((index) => staticTable[index]?.[0] ?? '');
const line = fc.oneof(
  fc.nat(staticTable.length - 1).map((index): [string, string] => [...(staticTable[index] ?? ['', ''])]),
  fc.tuple(fc.oneof(known, text), text),
);

test('a round trip of any sections, at any offset', () => {
  fc.assert(
    fc.property(fc.array(fc.array(line), { maxLength: 4 }), fc.nat(4), (sections, before) => {
      const { encode } = createHpackEncoder();
      const decoder = createHpackDecoder();
      for (const fields of sections) {
        const bytes = Buffer.concat([Buffer.alloc(before, 0xff), encode(fields), Buffer.from('ff', 'hex')]);
        assert.deepEqual(decoder.decode(bytes, before, bytes.length - 1, 1e9).fields, fields);
      }
    }),
  );
});

/** As another encoder might: every line added to the dynamic table, and referred to from then on. */
test('a table that fills and evicts stays the same on both sides', () => {
  const short = fc.string({ minLength: 1, maxLength: 30, unit: 'binary-ascii' });
  const size = fc.integer({ min: 0, max: 300 });
  fc.assert(
    fc.property(fc.array(fc.tuple(short, short), { maxLength: 40 }), size, (lines, tableSize) => {
      const decoder = createHpackDecoder(tableSize);
      const entries: [string, string][] = [];
      for (const added of lines) {
        const literal = Buffer.concat(
          added.map((part) => Buffer.concat([Buffer.from([part.length]), Buffer.from(part)])),
        );
        const block = Buffer.concat([Buffer.from([0x40]), literal]);
        assert.deepEqual(decoder.decode(block, 0, block.length, 1e9).fields, [added]);
        entries.unshift([...added]);
        let room = tableSize;
        let kept = 0;
        for (const [name, value] of entries) {
          room -= name.length + value.length + 32;
          if (room < 0) break;
          kept += 1;
        }
        entries.length = kept;
        for (const [age, entry] of entries.entries()) {
          const index = Buffer.from([0x80 | (62 + age)]);
          assert.deepEqual(decoder.decode(index, 0, 1, 1e9).fields, [entry]);
        }
        const beyond = Buffer.from([0x80 | (62 + kept)]);
        assert.throws(() => decoder.decode(beyond, 0, 1, 1e9), H2Error);
      }
    }),
  );
});

test('any bytes are fields or a compression error', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 5 }), (blocks) => {
      const decoder = createHpackDecoder();
      for (const block of blocks) {
        try {
          const { fields } = decoder.decode(block, 0, block.length, 500);
          const size = fields.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
          assert.ok(size <= 500);
        } catch (error) {
          assert.ok(error instanceof H2Error && error.code === 0x9);
          return;
        }
      }
    }),
    { numRuns: 2_000 },
  );
});
