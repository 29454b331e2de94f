import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  CapsuleError,
  type CapsuleRules,
  createCapsuleParser,
  encodeCapsule,
  MAX_DATAGRAM_PAYLOAD,
  MAX_UDP_PAYLOAD,
  writeCapsuleHeader,
} from '../../src/protocol/capsule.js';
import { cut, hex, toHex } from './bytes.js';

interface Collected {
  readonly events: string[];
  readonly parser: ReturnType<typeof createCapsuleParser>;
}

const rules: CapsuleRules = { whole: new Map([[0x11, 16]]), streamed: new Set([0x2028d7f2]) };

/** Writes down what a parser tells; parts of a streamed value are joined. */
function collect(given: CapsuleRules = rules): Collected {
  const events: string[] = [];
  let streamed = '';
  const parser = createCapsuleParser(given, {
    datagram: (bytes, start, end) => events.push(`datagram ${toHex(bytes.subarray(start, end))}`),
    capsule: (type, value) => events.push(`capsule ${type} ${toHex(value)}`),
    piece: (_type, bytes, start, end) => {
      assert.ok(end > start);
      streamed += toHex(bytes.subarray(start, end));
    },
    finished: (type) => {
      events.push(`streamed ${type} ${streamed}`);
      streamed = '';
    },
    skipped: (type) => events.push(`skipped ${type}`),
  });
  return { events, parser };
}

function feed(parser: Collected['parser'], text: string): void {
  const bytes = hex(text);
  parser.push(bytes, 0, bytes.length);
}

test('capsules of every kind, in order', () => {
  const { events, parser } = collect();
  feed(parser, '0003 00aabb 1102 0102 0000 3701ff a028d7f203010203 a028d7f200 1100');
  assert.deepEqual(events, [
    'datagram 00aabb',
    'capsule 17 0102',
    'datagram ',
    'skipped 55',
    'streamed 539547634 010203',
    'streamed 539547634 ',
    'capsule 17 ',
  ]);
  assert.ok(parser.atBoundary);
  parser.end();
});

test('a datagram within one piece is a view on it, without a copy', () => {
  const piece = hex('ff 0002 0a0b');
  let seen: [Uint8Array, number, number] | undefined;
  const parser = createCapsuleParser({}, { datagram: (...view) => (seen = view) });
  parser.push(piece, 1, piece.length);
  assert.deepEqual(seen?.slice(1), [3, 5]);
  assert.equal(seen?.[0], piece);
});

test('a wanted capsule is the own copy of who gets it, from a Buffer too', () => {
  const source = Buffer.from(encodeCapsule(0x11, Uint8Array.of(1, 2, 3)));
  let value: Uint8Array = new Uint8Array();
  const parser = createCapsuleParser(rules, {
    datagram: () => undefined,
    capsule: (_type, given) => {
      value = given;
    },
  });
  parser.push(source, 0, source.length);
  source.fill(0xff);
  assert.deepEqual([...value], [1, 2, 3]);
});

test('S5: an unknown capsule of 2^62 - 1 bytes is skipped without being kept', () => {
  const { events, parser } = collect();
  feed(parser, 'ffffffffffffffff ffffffffffffffff');
  const piece = new Uint8Array(65_536);
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 2_000; i++) parser.push(piece, 0, piece.length);
  assert.ok(process.memoryUsage().arrayBuffers - before < 4_000_000);
  assert.equal(parser.valueLeft, Number.POSITIVE_INFINITY);
  assert.deepEqual(events, ['skipped Infinity']);
  assert.ok(!parser.atBoundary);
});

test('S5: after an unknown capsule of 200,000 bytes the next one is read', () => {
  const { events, parser } = collect();
  for (const piece of cut(encodeCapsule(0x1234, new Uint8Array(200_000)), [1, 3, 70_000]))
    parser.push(...piece);
  feed(parser, '000177');
  assert.deepEqual(events, ['skipped 4660', 'datagram 77']);
});

test('S6: a clean end in mid-capsule is an error at every place, and at none between two', () => {
  const bytes = hex('0003 00aabb 4011 02 0102 a028d7f203010203 4037 03 ffffff');
  const boundaries = new Set([0, 5, 10, 18, 24]);
  for (let length = 0; length <= bytes.length; length++) {
    const { parser } = collect();
    parser.push(bytes, 0, length);
    assert.equal(parser.atBoundary, boundaries.has(length), `after ${length}`);
    if (boundaries.has(length)) parser.end();
    else {
      assert.throws(
        () => parser.end(),
        (error) => error instanceof CapsuleError && error.problem === 'truncated',
      );
    }
  }
});

test('a capsule over its limit is refused by its header alone', () => {
  const tooLarge = (error: unknown): boolean =>
    error instanceof CapsuleError && error.problem === 'too-large';
  const header = new Uint8Array(16);
  const inTime = collect();
  inTime.parser.push(header, 0, writeCapsuleHeader(header, 0, 0x11, 16));
  assert.throws(() => feed(collect().parser, '1111'), tooLarge);
  assert.throws(() => feed(collect().parser, '00ffffffffffffffff'), tooLarge);
  const datagram = collect();
  datagram.parser.push(header, 0, writeCapsuleHeader(header, 0, 0, MAX_DATAGRAM_PAYLOAD));
  assert.equal(datagram.parser.valueLeft, MAX_DATAGRAM_PAYLOAD);
  const beyond = writeCapsuleHeader(header, 0, 0, MAX_DATAGRAM_PAYLOAD + 1);
  assert.throws(() => collect().parser.push(header, 0, beyond), tooLarge);
});

test('S13: an empty payload and one of 65,527 bytes pass whole, also when cut', () => {
  for (const size of [0, MAX_UDP_PAYLOAD]) {
    const value = new Uint8Array(1 + size).fill(7);
    value[0] = 0;
    const { events, parser } = collect();
    for (const piece of cut(encodeCapsule(0, value), [2, 5, 20_000])) parser.push(...piece);
    assert.deepEqual(events, [`datagram ${toHex(value)}`]);
  }
});

test('a long header alone makes no long buffer', () => {
  const parsers = Array.from({ length: 1_000 }, () => collect().parser);
  const before = process.memoryUsage().arrayBuffers;
  for (const parser of parsers) feed(parser, '00 8000ffff 00');
  assert.ok(process.memoryUsage().arrayBuffers - before < 4_000_000);
});

test('nothing is told after stop, even within one piece', () => {
  const events: number[] = [];
  const parser = createCapsuleParser(
    {},
    {
      datagram: (bytes, start) => {
        events.push(bytes[start] ?? -1);
        parser.stop();
      },
    },
  );
  feed(parser, '000101 000102');
  feed(parser, '000103');
  assert.deepEqual(events, [1]);
});

const capsule = fc.record({
  type: fc.constantFrom(0, 0, 0x11, 0x2028d7f2, 0x37, 0x272dda5e),
  value: fc.uint8Array({ maxLength: 16 }),
});

test('any sequence cut anywhere gives the same events', () => {
  fc.assert(
    fc.property(fc.array(capsule), fc.array(fc.nat()), (capsules, places) => {
      const bytes = Buffer.concat(capsules.map(({ type, value }) => encodeCapsule(type, value)));
      const whole = collect();
      whole.parser.push(bytes, 0, bytes.length);
      whole.parser.end();
      assert.equal(whole.events.length, capsules.length);
      const pieces = collect();
      for (const piece of cut(bytes, places)) pieces.parser.push(...piece);
      pieces.parser.end();
      assert.deepEqual(pieces.events, whole.events);
    }),
  );
});

test('what is left of one parser brings another to the same place', () => {
  // A type and a length beyond what a number holds, in the longest form.
  const strange = Buffer.concat([hex('ffffffffffffffff 02 0102'), hex('4017 c000000000000001 99')]);
  fc.assert(
    fc.property(fc.array(capsule), fc.nat(), (capsules, place) => {
      const encoded = capsules.map(({ type, value }) => encodeCapsule(type, value));
      const bytes = Buffer.concat([...encoded, strange, ...encoded]);
      const at = place % (bytes.length + 1);
      const whole = collect();
      whole.parser.push(bytes, 0, bytes.length);
      const [first, second] = [collect(), collect()];
      first.parser.push(bytes, 0, at);
      const rest = first.parser.rest();
      assert.equal(rest.length === 0, first.parser.atBoundary);
      second.parser.push(rest, 0, rest.length);
      second.parser.push(bytes, at, bytes.length);
      second.parser.end();
      // What is skipped is told once more, by a type of its own; a streamed value by each for its part.
      const told = (events: string[]): string[] =>
        events.filter((event) => /^(datagram|capsule)/.test(event));
      assert.deepEqual([...told(first.events), ...told(second.events)], told(whole.events));
    }),
    { numRuns: 500 },
  );
});

test('datagrams of any size survive being cut', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 65_535 }), fc.array(fc.nat()), (size, places) => {
      const value = new Uint8Array(size).map((_, i) => i * 7);
      const { events, parser } = collect();
      for (const piece of cut(encodeCapsule(0, value), places)) parser.push(...piece);
      parser.end();
      assert.deepEqual(events, [`datagram ${toHex(value)}`]);
    }),
    { numRuns: 30 },
  );
});

test('random bytes throw nothing but CapsuleError, cut or not', () => {
  const run = (pieces: [Uint8Array, number, number][]): string[] => {
    const { events, parser } = collect();
    try {
      for (const piece of pieces) parser.push(...piece);
      parser.end();
      events.push('end');
    } catch (error) {
      if (!(error instanceof CapsuleError)) throw error;
      events.push(error.problem);
    }
    return events;
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.array(fc.nat()), (bytes, places) => {
      assert.deepEqual(run(cut(bytes, places)), run([[bytes, 0, bytes.length]]));
    }),
    { numRuns: 1_000 },
  );
});
