import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResetReason } from '../../../src/protocol/reset-reason.js';
import type { SideEnd } from '../../../src/tunnel/side-end.js';
import { FLOW_WINDOW } from '../../../src/tunnel/tcp/byte-flow.js';
import {
  JoinedSides,
  type JoinedSidesEnd,
  type JoinSidesOptions,
} from '../../../src/tunnel/tcp/join-sides.js';
import { scriptedSide } from './scripted-side.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function joinedPair(options: JoinSidesOptions = {}) {
  const joined = new JoinedSides(options);
  const a = scriptedSide(joined.a);
  const b = scriptedSide(joined.b);
  const ends: JoinedSidesEnd[] = [];
  joined.closed.then((end) => ends.push(end));
  return { joined, a, b, ends, start: () => joined.start(a, b) };
}

const ENDED: SideEnd = { kind: 'ended' };

test('bytes go both ways and are counted', () => {
  const { joined, a, b, start } = joinedPair();
  start();
  a.tell('to b');
  b.tell('and to a');
  assert.equal(b.text(), 'to b');
  assert.equal(a.text(), 'and to a');
  assert.deepEqual([joined.bytesFromA, joined.bytesFromB], [4, 8]);
});

test('nothing is granted before the start', () => {
  const { a, b, start } = joinedPair();
  assert.deepEqual([a.credit, b.credit], [0, 0]);
  start();
  assert.deepEqual([a.credit, b.credit], [FLOW_WINDOW, FLOW_WINDOW]);
});

test('half close in each direction, in either order', async () => {
  for (const first of ['a', 'b'] as const) {
    let halves = 0;
    const pair = joinedPair({ halfClosed: () => halves++ });
    pair.start();
    const [one, two] = first === 'a' ? [pair.a, pair.b] : [pair.b, pair.a];
    one.tell('last words');
    one.tellEnd();
    assert.ok(two.ended);
    assert.equal(two.text(), 'last words');
    assert.equal(one.ended, false);
    assert.equal(halves, 1);
    two.tell('goes on');
    assert.equal(one.text(), 'goes on');
    two.tellEnd();
    assert.ok(one.ended);
    await turn();
    assert.deepEqual(pair.ends, [{ by: undefined, a: ENDED, b: ENDED }]);
    assert.equal(halves, 1);
  }
});

test('a reset of one side is a reset of the other, with what the reason means there', async () => {
  const meant: Partial<Record<ResetReason, ResetReason>> = {
    cancelled: 'cancelled',
    'connect-error': 'connect-error',
    'message-error': 'cancelled',
    'no-error': 'cancelled',
    unknown: 'cancelled',
    refused: 'cancelled',
    'internal-error': 'internal-error',
  };
  for (const [reason, behind] of Object.entries(meant) as [ResetReason, ResetReason][]) {
    const { a, b, ends, start } = joinedPair();
    start();
    a.tellReset(reason);
    a.tellReset(reason);
    await turn();
    assert.deepEqual(b.resets, [behind]);
    assert.equal(b.ended, false);
    assert.deepEqual(ends, [{ by: 'a', a: { kind: 'reset', reason }, b: { kind: 'reset', reason: behind } }]);
  }
});

test('a loss of one side is INTERNAL_ERROR at the other', async () => {
  const { a, b, ends, start } = joinedPair();
  start();
  b.tellLost('gone');
  await turn();
  assert.deepEqual(a.resets, ['internal-error']);
  assert.equal(ends[0]?.by, 'b');
});

test('a reset after one direction ended still reaches the other side', async () => {
  const { a, b, ends, start } = joinedPair();
  start();
  a.tellEnd();
  a.tellReset('connect-error');
  await turn();
  assert.deepEqual(b.resets, ['connect-error']);
  assert.equal(ends[0]?.by, 'a');
});

test('what the sides tell before the start is carried over at the start', async () => {
  const early = joinedPair();
  early.a.tellEnd();
  early.start();
  assert.ok(early.b.ended);

  const reset = joinedPair();
  reset.b.tellReset('connect-error');
  reset.start();
  await turn();
  assert.deepEqual(reset.a.resets, ['connect-error']);
  assert.equal(reset.ends[0]?.by, 'b');
});

test('a reset from here cuts both sides once', async () => {
  const { joined, a, b, ends, start } = joinedPair();
  start();
  joined.reset('connect-error');
  joined.reset('cancelled');
  await turn();
  assert.deepEqual([a.resets, b.resets], [['connect-error'], ['connect-error']]);
  assert.equal(ends[0]?.by, 'here');
});

test('a full sink is granted nothing more, and its drain goes on', () => {
  const { a, b, start } = joinedPair();
  start();
  b.room = false;
  const { credit } = a;
  a.tell(Buffer.alloc(1000));
  assert.equal(a.credit, credit - 1000);
  a.tell(Buffer.alloc(a.credit));
  assert.equal(a.credit, 0, 'what was granted may come, no more');
  b.tellDrain();
  assert.equal(a.credit, FLOW_WINDOW);
  b.tellDrain();
  assert.equal(a.credit, FLOW_WINDOW, 'a drain that nobody waits for gives nothing');
});

test('half of the window is given again before all of it is used', () => {
  const { a, start } = joinedPair({ window: 1000 });
  start();
  assert.equal(a.credit, 1000);
  a.tell(Buffer.alloc(400));
  assert.equal(a.credit, 600);
  a.tell(Buffer.alloc(100));
  assert.equal(a.credit, 1000);
});

test('a side that is over in order while the other still sends: the next byte resets, not the end', async () => {
  const joined = new JoinedSides();
  const b = scriptedSide(joined.b);
  const a = scriptedSide({
    data: () => undefined,
    end: () => undefined,
    drain: () => undefined,
    closed: () => undefined,
  });
  const ends: JoinedSidesEnd[] = [];
  joined.closed.then((end) => ends.push(end));
  joined.start(a, b);
  b.room = false;
  joined.b.data(new Uint8Array(1000), 0, 1000);
  // It ended its direction, stopped the other, and both are done for it.
  joined.a.end();
  joined.a.closed(ENDED);
  assert.ok(b.ended, 'the FIN was passed on');
  assert.deepEqual(b.resets, [], 'no RST that would overtake the last bytes');
  b.tell('nobody reads this');
  await turn();
  assert.deepEqual(b.resets, ['cancelled']);
  assert.deepEqual(ends, [{ by: 'a', a: ENDED, b: { kind: 'reset', reason: 'cancelled' } }]);
});
