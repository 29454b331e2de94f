import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { H3Error } from '../../src/protocol/h3-error.js';
import {
  createH3FrameParser,
  encodeH3Frame,
  encodeH3IdFrame,
  type H3FrameParser,
  type H3FrameRules,
  h3FrameTypes,
} from '../../src/protocol/h3-frame.js';
import { cut, hex, toHex } from './bytes.js';

const request: H3FrameRules = { stream: 'request', role: 'server', maxHeaders: 100 };
const control: H3FrameRules = { stream: 'control', role: 'server', maxHeaders: 100 };

function collect(rules: H3FrameRules): { events: string[]; parser: H3FrameParser } {
  const events: string[] = [];
  let data = '';
  const flush = (): void => {
    if (data !== '') events.push(`data ${data}`);
    data = '';
  };
  const parser = createH3FrameParser(rules, {
    frame: (type, bytes, start, end) => {
      flush();
      events.push(`frame ${type} ${toHex(bytes.subarray(start, end))}`);
    },
    id: (type, id) => events.push(`id ${type} ${id}`),
    data: (bytes, start, end) => {
      assert.ok(end > start);
      data += toHex(bytes.subarray(start, end));
    },
  });
  return {
    events,
    parser: {
      push: (bytes, start, end) => parser.push(bytes, start, end),
      passData: () => parser.passData(),
      stop: () => parser.stop(),
      get atBoundary() {
        return parser.atBoundary;
      },
      get dataLeft() {
        return parser.dataLeft;
      },
      end() {
        flush();
        parser.end();
      },
    },
  };
}

function run(rules: H3FrameRules, pieces: [Uint8Array, number, number][]): string[] {
  const { events, parser } = collect(rules);
  try {
    for (const piece of pieces) parser.push(...piece);
    parser.end();
    events.push('end');
  } catch (error) {
    if (!(error instanceof H3Error)) throw error;
    events.push(`${error.codeName} ${error.scope}`);
  }
  return events;
}

const parse = (rules: H3FrameRules, text: string): string[] => {
  const bytes = hex(text);
  return run(rules, [[bytes, 0, bytes.length]]);
};

test('a request stream: headers, data, unknown frames, trailers', () => {
  assert.deepEqual(parse(request, '21 02 ffff 0102aabb 0003010203 0000 2f00 000104 0101cc'), [
    'frame 1 aabb',
    'data 01020304',
    'frame 1 cc',
    'end',
  ]);
});

test('a control stream: SETTINGS, ids, unknown frames', () => {
  assert.deepEqual(parse(control, '0402 3301 2100 0d0105 070240ff 2f03ffffff'), [
    'frame 4 3301',
    'id 13 5',
    'id 7 255',
    'end',
  ]);
});

test('frames where they must not be', () => {
  const unexpected = ['H3_FRAME_UNEXPECTED connection'];
  for (const type of ['02', '04', '06', '07', '08', '09', '03', '0d', '05']) {
    assert.deepEqual(parse(request, `${type}00`), unexpected, `request ${type}`);
  }
  for (const type of ['00', '01', '02', '05', '06', '08', '09', '04']) {
    assert.deepEqual(parse(control, `0400 ${type}00`).slice(1), unexpected, `control ${type}`);
  }
  assert.deepEqual(parse(request, '000101'), unexpected, 'DATA before HEADERS');
  assert.deepEqual(parse({ ...control, role: 'client' }, '0400 0d0101').slice(1), unexpected);
});

test('a control stream that does not begin with SETTINGS', () => {
  for (const text of ['070100', '0000', '2100']) {
    assert.deepEqual(parse(control, text), ['H3_MISSING_SETTINGS connection']);
  }
});

test('pushes are never allowed', () => {
  assert.deepEqual(parse({ ...request, role: 'client' }, '0500'), ['H3_ID_ERROR connection']);
  assert.deepEqual(parse(control, '0400 030100').slice(1), ['H3_ID_ERROR connection']);
});

test('ids of the wrong length', () => {
  for (const text of ['0700', '07024000ff', '07020101', '070140', '0709ffffffffffffffffff']) {
    assert.equal(parse(control, `0400 ${text}`).at(-1), 'H3_FRAME_ERROR connection', text);
  }
});

test('limits are told by the header alone', () => {
  assert.deepEqual(parse(request, '014065'), ['H3_EXCESSIVE_LOAD stream']);
  assert.deepEqual(parse(control, '0480004001'), ['H3_EXCESSIVE_LOAD connection']);
});

test('an end inside a frame, unknown ones too', () => {
  for (const text of ['0102aa', '01', '0100 000201', '2102ff', '40']) {
    assert.equal(parse(request, text).at(-1), 'H3_FRAME_ERROR connection', text);
  }
});

test('the bytes of a DATA frame that are still to come', () => {
  const { parser } = collect(request);
  const bytes = hex('0100 0005 0102');
  parser.push(bytes, 0, bytes.length);
  assert.equal(parser.dataLeft, 3);
  assert.ok(!parser.atBoundary);
});

test('DATA is a view, whatever its length', () => {
  const views: [Uint8Array, number, number][] = [];
  const parser = createH3FrameParser(request, {
    frame: () => undefined,
    data: (...view) => views.push(view),
  });
  const bytes = hex('0100 00 ffffffffffffffff 0102');
  parser.push(bytes, 0, bytes.length);
  assert.equal(views[0]?.[0], bytes);
  assert.deepEqual(views[0]?.slice(1), [11, 13]);
});

test('encoders', () => {
  assert.equal(toHex(encodeH3Frame(h3FrameTypes.HEADERS, hex('aabb'))), '0102aabb');
  assert.equal(toHex(encodeH3IdFrame(h3FrameTypes.GOAWAY, 1_000)), '070243e8');
});

const frame = fc.record({
  type: fc.constantFrom(0, 0, 1, 1, 4, 7, 13, 33, 0x1234),
  payload: fc.uint8Array({ maxLength: 20 }),
});

test('frames cut anywhere give the same events', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(request, control),
      fc.array(frame),
      fc.array(fc.nat()),
      (rules, frames, places) => {
        const opening = encodeH3Frame(rules === control ? 4 : 1, new Uint8Array(2));
        const bytes = Buffer.concat([
          opening,
          ...frames.map(({ type, payload }) => encodeH3Frame(type, payload)),
        ]);
        assert.deepEqual(run(rules, cut(bytes, places)), run(rules, [[bytes, 0, bytes.length]]));
      },
    ),
  );
});

test('random bytes throw nothing but H3Error', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(request, control),
      fc.uint8Array(),
      fc.array(fc.nat()),
      (rules, bytes, places) => {
        assert.deepEqual(run(rules, cut(bytes, places)), run(rules, [[bytes, 0, bytes.length]]));
      },
    ),
    { numRuns: 1_000 },
  );
});
