import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Fields, fieldSectionSize } from '../../../src/protocol/fields.js';
import { H3Error } from '../../../src/protocol/h3-error.js';
import { decodeFieldSection } from '../../../src/protocol/qpack/decoder.js';
import { encodeFieldSection } from '../../../src/protocol/qpack/encoder.js';
import { staticTable } from '../../../src/protocol/qpack/static-table.js';
import { hex, toHex } from '../bytes.js';

const decode = (text: string, maxSize = 65_536): Fields => {
  const bytes = hex(text);
  return decodeFieldSection(bytes, 0, bytes.length, maxSize);
};

const fails = (text: string, codeName: string, maxSize?: number): void => {
  assert.throws(
    () => decode(text, maxSize),
    (error) => error instanceof H3Error && error.codeName === codeName,
    text,
  );
};

test('the example of RFC 9204 appendix B.1', () => {
  assert.deepEqual(decode('0000 510b 2f69 6e64 6578 2e68 746d 6c'), [[':path', '/index.html']]);
});

test('sections that ls-qpack encoded', () => {
  assert.deepEqual(
    decode(
      '0000cf2f00b95d8749c87a3f8821eaa8a44ad6c95fd7508eaec3f9f4b97c8e9ae82dc69a659f519c617f05a285bad47f' +
        '153148d1dad2b16c95b017c4b81712ee30d34cb12f0420eb45b4156aec3a4e43d1023f31',
    ),
    [
      [':method', 'CONNECT'],
      [':protocol', 'connect-udp'],
      [':scheme', 'https'],
      [':authority', 'proxy.example:4433'],
      [':path', '/.well-known/masque/udp/192.0.2.6/443/'],
      ['capsule-protocol', '?1'],
    ],
  );
  assert.deepEqual(decode('0000d1d7508cf1e3c2e5f23a6ba0ab90f4ffc15f500a782f312e302028e9ff29dd217800'), [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':authority', 'www.example.com'],
    [':path', '/'],
    ['user-agent', 'x/1.0 (\u00e9\u00ff)'],
    ['accept', '*/*'],
    ['x', ''],
  ]);
});

test('a request takes few bytes: indexed lines, name references, Huffman where shorter', () => {
  const bytes = encodeFieldSection([
    [':method', 'CONNECT'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    ['capsule-protocol', '?1'],
    ['x', '{}'],
  ]);
  assert.equal(
    toHex(bytes),
    `0000 cf d7 51 88 ${'60d5485f2bce9a68'} 2f04 20eb45b4156aec3a4e43d1 02 3f31 2178 02 7b7d`.replaceAll(
      ' ',
      '',
    ),
  );
});

test('credentials are marked never to be indexed', () => {
  assert.equal(toHex(encodeFieldSection([['authorization', '\0']])), '00007f450100');
  assert.equal(encodeFieldSection([['proxy-authorization', 'x']])[2], 0x3f);
  assert.equal(encodeFieldSection([['x-other', 'x']])[2], 0x2d);
});

test('characters that are no bytes are not encoded', () => {
  for (const value of ['\u0100', 'a\u20ac', '\ud83d\ude00']) {
    assert.throws(() => encodeFieldSection([['x', value]]), RangeError);
    assert.throws(() => encodeFieldSection([[value, '']]), RangeError);
  }
});

test('every reference to a dynamic table is a decompression failure', () => {
  for (const section of [
    '0281 10', // insert count 1
    '0000 80', // indexed, dynamic
    '0000 4000', // name reference, dynamic
    '0000 10', // indexed, post-base
    '0000 0000', // name reference, post-base
    '0080', // negative base
  ]) {
    fails(section, 'QPACK_DECOMPRESSION_FAILED');
  }
});

test('sections cut short, indices out of the table and integers without end are refused', () => {
  for (const section of [
    '',
    '00',
    '0000 ff24', // static index 99
    '0000 ff',
    '0000 5105 2f',
    '0000 51ff',
    '0000 5f',
    '0000 2361',
    '0000 ffffffffffffffffffffff01',
    '0000 ff80808080808080808080808000',
    '0000 5181 00', // Huffman, padding of zeros
  ]) {
    fails(section, 'QPACK_DECOMPRESSION_FAILED');
  }
  assert.deepEqual(decode('0000 ff23'), [['x-frame-options', 'sameorigin']]);
});

test('a section over the limit aborts the stream only', () => {
  const fields: Fields = [
    [':status', '200'],
    ['x', 'y'.repeat(100)],
  ];
  const size = fieldSectionSize(fields);
  assert.equal(size, 7 + 3 + 32 + 1 + 100 + 32);
  const bytes = encodeFieldSection(fields);
  assert.deepEqual(decodeFieldSection(bytes, 0, bytes.length, size), fields);
  assert.throws(
    () => decodeFieldSection(bytes, 0, bytes.length, size - 1),
    (error) => error instanceof H3Error && error.codeName === 'H3_EXCESSIVE_LOAD' && error.scope === 'stream',
  );
});

const text = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const known = fc.nat(staticTable.length - 1).map((index) => staticTable[index]?.[0] ?? '');
const line = fc.oneof(
  fc.nat(staticTable.length - 1).map((index): [string, string] => [...(staticTable[index] ?? ['', ''])]),
  fc.tuple(fc.oneof(known, text), text),
);

test('a round trip of any fields, at any offset', () => {
  fc.assert(
    fc.property(fc.array(line), fc.nat(4), (fields, before) => {
      const bytes = Buffer.concat([
        Buffer.alloc(before, 0xff),
        encodeFieldSection(fields),
        Buffer.from('ff', 'hex'),
      ]);
      assert.deepEqual(decodeFieldSection(bytes, before, bytes.length - 1, 1e9), fields);
    }),
  );
});

test('random bytes throw nothing but H3Error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (random) => {
      const bytes = Buffer.concat([Buffer.from('0000', 'hex'), random]);
      try {
        decodeFieldSection(bytes, 0, bytes.length, 1_000);
      } catch (error) {
        assert.ok(error instanceof H3Error, String(error));
      }
    }),
    { numRuns: 1_000 },
  );
});
