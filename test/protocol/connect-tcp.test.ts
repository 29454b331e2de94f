import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeCapsule } from '../../src/protocol/capsule.js';
import {
  type ConnectTcpRevision,
  connectTcpCapsule,
  connectTcpCapsulesWith,
  connectTcpRevisionOf,
  connectTcpRevisions,
  newestConnectTcp,
  newestConnectTcpCapsules,
} from '../../src/protocol/connect-tcp.js';
import { ConnectTcpError, createConnectTcpParser } from '../../src/protocol/connect-tcp-bytes.js';
import { connectTcpVectors } from './connect-tcp-vectors.js';

/** Feeds the pieces, and an end where there is one; says what came of it. */
function run(pieces: readonly Buffer[], ends: boolean) {
  const told: Buffer[] = [];
  const skipped: number[] = [];
  let final = 0;
  let error: ConnectTcpError | undefined;
  const parser = createConnectTcpParser({
    bytes(bytes, start, end) {
      assert.ok(end > start, 'no empty piece is told');
      assert.equal(final, 0, 'no byte after the FIN');
      told.push(Buffer.from(bytes.subarray(start, end)));
    },
    final: () => final++,
    skipped: (type) => skipped.push(type),
  });
  try {
    for (const piece of pieces) {
      // Inside something larger, as views are.
      const around = Buffer.concat([Buffer.from([0xff]), piece, Buffer.from([0xff])]);
      parser.push(around, 1, piece.length + 1);
    }
    if (ends) parser.end();
  } catch (thrown) {
    assert.ok(thrown instanceof ConnectTcpError);
    error = thrown;
  }
  return { bytes: Buffer.concat(told), told, final, error, skipped, parser };
}

for (const { title, content, ends, bytes, final, problem, reason } of connectTcpVectors) {
  test(`${title} (codec)`, () => {
    const whole = [content];
    const single = [...content].map((byte) => Buffer.from([byte]));
    const halves = Array.from({ length: content.length }, (_, at) => [
      content.subarray(0, at),
      content.subarray(at),
    ]);
    for (const pieces of [whole, single, ...halves]) {
      const result = run(pieces, ends);
      assert.deepEqual(result.bytes, bytes);
      assert.equal(result.final, final ? 1 : 0);
      assert.equal(result.error?.problem, problem);
      assert.equal(result.error?.reason, reason);
    }
  });
}

test('any bytes in any capsules, cut anywhere, come out as they were', () => {
  const pair = fc.constantFrom(...connectTcpRevisions.flatMap(({ capsules }) => capsules ?? []));
  const capsule = fc.record({ pair, value: fc.uint8Array({ maxLength: 40 }), unknown: fc.boolean() });
  fc.assert(
    fc.property(fc.array(capsule, { maxLength: 12 }), fc.infiniteStream(fc.nat(9)), (capsules, cuts) => {
      const content = Buffer.concat(
        capsules.map(({ pair: { data }, value, unknown }) =>
          encodeCapsule(unknown ? 0x2028d7ff : data, value),
        ),
      );
      const expected = Buffer.concat(capsules.filter(({ unknown }) => !unknown).map(({ value }) => value));
      const pieces: Buffer[] = [];
      for (let at = 0; at < content.length; ) {
        const size = cuts.next().value ?? 1;
        pieces.push(content.subarray(at, at + size));
        at += size === 0 ? 0 : size;
        if (pieces.length > 5000) break;
      }
      const result = run(pieces, false);
      assert.equal(result.error, undefined);
      assert.deepEqual(result.bytes, expected);
    }),
    { numRuns: 300 },
  );
});

test('any bytes at all: only its own error is thrown', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 8 }),
      fc.boolean(),
      (pieces, ends) => {
        const content = pieces.map((piece) => Buffer.from(piece));
        const { bytes } = run(content, ends);
        assert.ok(bytes.length <= Buffer.concat(content).length);
      },
    ),
    { numRuns: 1000 },
  );
});

test('the parser says which capsules the peer used first', () => {
  for (const { capsules } of connectTcpRevisions) {
    if (!capsules) continue;
    const { parser } = run([Buffer.from(encodeCapsule(0x3f, Buffer.from('x')))], false);
    assert.equal(parser.capsules, undefined);
    for (const type of [capsules.data, capsules.finalData]) {
      assert.deepEqual(
        run([Buffer.from(encodeCapsule(type, Buffer.alloc(0)))], false).parser.capsules,
        capsules,
      );
    }
  }
});

test('after stop nothing is told, also from within a call', () => {
  const told: string[] = [];
  const parser = createConnectTcpParser({
    bytes(bytes, start, end) {
      told.push(Buffer.from(bytes.subarray(start, end)).toString());
      parser.stop();
    },
    final: () => told.push('final'),
  });
  const { data, finalData } = newestConnectTcpCapsules;
  const content = Buffer.concat([
    encodeCapsule(data, Buffer.from('a')),
    encodeCapsule(finalData, Buffer.from('b')),
  ]);
  parser.push(content, 0, content.length);
  parser.push(content, 0, content.length);
  assert.deepEqual(told, ['a']);
});

test('the table of revisions', () => {
  assert.equal(newestConnectTcp, connectTcpRevisions[0]);
  assert.deepEqual(newestConnectTcp.capsules, newestConnectTcpCapsules);
  const tokens = connectTcpRevisions.map(({ token }) => token);
  assert.equal(new Set(tokens).size, tokens.length);
  const types: number[] = [];
  for (const revision of connectTcpRevisions as readonly ConnectTcpRevision[]) {
    assert.equal(connectTcpRevisionOf(revision.token.toUpperCase()), revision);
    if (!revision.capsules) continue;
    const { data, finalData } = revision.capsules;
    types.push(data, finalData);
    assert.equal(connectTcpCapsule(data), 'data');
    assert.equal(connectTcpCapsule(finalData), 'final-data');
    assert.equal(connectTcpCapsulesWith(finalData), revision.capsules);
  }
  assert.equal(new Set(types).size, types.length);
  assert.deepEqual(types, [0x2028d7f2, 0x2028d7f3, 0x2028d7f0, 0x2028d7f1]);
  for (const type of [0, 0x2028d7f4, Number.POSITIVE_INFINITY]) {
    assert.equal(connectTcpCapsule(type), undefined);
    assert.equal(connectTcpCapsulesWith(type), undefined);
  }
  for (const token of ['connect-tcp-08', 'connect-udp', ''])
    assert.equal(connectTcpRevisionOf(token), undefined);
});
