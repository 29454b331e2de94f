import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { cidrContains, formatCidr, parseAddress } from '../../src/protocol/address.js';
import { judgeAddress } from '../../src/protocol/address-verdict.js';
import { specialBlocks } from '../../src/protocol/special-blocks.js';

interface Vector {
  readonly address: string;
  readonly verdict: 'allowed' | 'refused';
  readonly block?: string;
  readonly embedded?: string;
}

// The compiled test stands one folder deeper than the source it came from.
const file = new URL('../../../test/protocol/address-vectors.json', import.meta.url);
const vectors: readonly Vector[] = JSON.parse(readFileSync(file, 'utf8'));

const judge = (text: string): ReturnType<typeof judgeAddress> => {
  const address = parseAddress(text);
  assert.ok(address, text);
  return judgeAddress(address);
};

test('every address of the vector file gets its verdict, and is refused for its block', () => {
  assert.ok(vectors.length >= 150);
  for (const { address, verdict, block, embedded } of vectors) {
    const found = judge(address);
    assert.equal(found.kind, verdict, address);
    if (found.kind === 'refused') {
      assert.equal(found.block, block, address);
      assert.equal(found.embedded, embedded, address);
      assert.ok(found.name && found.source);
    }
  }
});

test('the vector file has the first and last address of every block', () => {
  for (const special of specialBlocks) {
    const first = Buffer.from(special.cidr.bytes);
    const last = Buffer.from(
      first.map((byte, i) => byte | (0xff >> Math.min(8, Math.max(0, special.cidr.prefix - 8 * i)))),
    );
    for (const edge of [first, last]) {
      const listed = vectors.some(({ address }) =>
        edge.equals(parseAddress(address)?.bytes ?? Buffer.alloc(0)),
      );
      assert.ok(listed, `${special.block}: ${edge.toString('hex')}`);
    }
  }
});

test('blocks are written canonically', () => {
  for (const { block, cidr } of specialBlocks) assert.equal(formatCidr(cidr), block);
});

test('any wrapping of an IPv4 address gets the verdict of the address itself', () => {
  const octets = fc.uint8Array({ minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(octets, fc.uint8Array({ minLength: 10, maxLength: 10 }), (bytes, rest) => {
      const plain = judgeAddress({ version: 4, bytes });
      const hex = Buffer.from(bytes).toString('hex');
      const tail = Buffer.from(rest).toString('hex').match(/..../g)?.join(':');
      const wrappings = [
        `::ffff:${bytes.join('.')}`,
        `64:ff9b::${hex.slice(0, 4)}:${hex.slice(4)}`,
        `2002:${hex.slice(0, 4)}:${hex.slice(4)}:${tail}`,
      ];
      // The unspecified and the loopback address of IPv6 are no wrapped ones.
      if (bytes.some((byte, i) => i < 3 && byte !== 0)) wrappings.push(`::${bytes.join('.')}`);
      for (const wrapped of wrappings) {
        const verdict = judge(wrapped);
        assert.equal(verdict.kind, plain.kind, wrapped);
        if (verdict.kind === 'refused' && plain.kind === 'refused') assert.equal(verdict.block, plain.block);
      }
    }),
    { numRuns: 500 },
  );
});

test('outside of 2000::/3 only wrapped IPv4 addresses are ever allowed', () => {
  const global = { version: 6, bytes: new Uint8Array([0x20, ...new Array(15).fill(0)]), prefix: 3 } as const;
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const address = { version: 6, bytes } as const;
      if (!cidrContains(global, address) && (bytes[0] ?? 0) > 0) {
        assert.equal(judgeAddress(address).kind, 'refused');
      }
    }),
    { numRuns: 500 },
  );
});
