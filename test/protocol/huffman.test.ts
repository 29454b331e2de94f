import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeHuffman, encodeHuffman, huffmanSize } from '../../src/protocol/huffman.js';
import { huffmanCode } from '../../src/protocol/huffman-code.js';
import { hex, toHex } from './bytes.js';

function encode(text: string): string {
  const bytes = new Uint8Array(huffmanSize(text));
  assert.equal(encodeHuffman(text, bytes, 0), bytes.length);
  return toHex(bytes);
}

function decode(bytes: Uint8Array): string | undefined {
  const to = Buffer.alloc(Math.ceil((bytes.length * 8) / 5));
  const size = decodeHuffman(bytes, 0, bytes.length, to);
  return size < 0 ? undefined : to.toString('latin1', 0, size);
}

test('the examples of RFC 7541 appendix C', () => {
  const examples: [string, string][] = [
    ['www.example.com', 'f1e3c2e5f23a6ba0ab90f4ff'],
    ['no-cache', 'a8eb10649cbf'],
    ['custom-value', '25a849e95bb8e8b4bf'],
    ['Mon, 21 Oct 2013 20:13:21 GMT', 'd07abe941054d444a8200595040b8166e082a62d1bff'],
    ['https://www.example.com', '9d29ad171863c78f0b97c8e9ae82ae43d3'],
  ];
  for (const [text, bytes] of examples) {
    assert.equal(encode(text), bytes);
    assert.equal(decode(hex(bytes)), text);
  }
});

test('codes of RFC 7541 appendix B, one of most lengths', () => {
  const codes: [number, number, number][] = [
    [48, 0x0, 5],
    [32, 0x14, 6],
    [58, 0x5c, 7],
    [38, 0xf8, 8],
    [33, 0x3f8, 10],
    [39, 0x7fa, 11],
    [35, 0xffa, 12],
    [0, 0x1ff8, 13],
    [94, 0x3ffc, 14],
    [60, 0x7ffc, 15],
    [92, 0x7fff0, 19],
    [128, 0xfffe6, 20],
    [153, 0x1fffdc, 21],
    [129, 0x3fffd2, 22],
    [1, 0x7fffd8, 23],
    [9, 0xffffea, 24],
    [199, 0x1ffffec, 25],
    [192, 0x3ffffe0, 26],
    [203, 0x7ffffde, 27],
    [2, 0xfffffe2, 28],
    [10, 0x3ffffffc, 30],
    [256, 0x3fffffff, 30],
  ];
  for (const [symbol, code, length] of codes) {
    assert.deepEqual([huffmanCode.codes[symbol], huffmanCode.lengths[symbol]], [code, length]);
  }
});

test('EOS, padding of eight bits and padding of zeros are refused', () => {
  assert.equal(decode(hex('3fffffff')), undefined);
  assert.equal(decode(hex('fffffffc')), undefined);
  assert.equal(decode(hex('ff')), undefined);
  assert.equal(decode(hex('a8eb10649cbfff')), undefined);
  assert.equal(decode(hex('a8eb10649cb0')), undefined);
  assert.equal(decode(hex('')), '');
});

test('a round trip of any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const text = Buffer.from(bytes).toString('latin1');
      assert.equal(decode(hex(encode(text))), text);
    }),
  );
});

test('random bytes decode to what encodes to the same, or not at all', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const text = decode(bytes);
      if (text !== undefined) assert.equal(encode(text), toHex(bytes));
    }),
    { numRuns: 1_000 },
  );
});
