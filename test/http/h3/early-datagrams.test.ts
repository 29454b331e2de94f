import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVirtualClock } from '../../../src/clock/virtual-clock.js';
import { createCreatedStreams } from '../../../src/http/h3/created-streams.js';
import { createEarlyDatagrams, type EarlyDatagrams } from '../../../src/http/h3/early-datagrams.js';

const options = { timeout: 120_000 };

function setUp(limits: { bytes?: number; count?: number } = {}) {
  const clock = createVirtualClock();
  const early = createEarlyDatagrams(clock, { bytes: 100, count: 10, time: () => 50, ...limits });
  return { clock, early };
}

const keep = (early: EarlyDatagrams, id: number, size: number, created = false): void => {
  const bytes = new Uint8Array(size + 2).fill(id);
  early.keep(id, created, bytes, 1, size + 1);
};

const taken = (early: EarlyDatagrams, id: number): number[] => {
  const sizes: number[] = [];
  early.take(id, (payload) => {
    assert.ok(payload.every((byte) => byte === id));
    return sizes.push(payload.length) > 0;
  });
  return sizes;
};

test('S2: room is free again for what was taken, forgotten or given up', options, () => {
  const { clock, early } = setUp();
  for (let round = 0; round < 20; round++) {
    keep(early, 1, 60);
    assert.deepEqual(taken(early, 1), [60]);
    keep(early, 2, 60, true);
    early.forget(2);
    keep(early, 3, 60);
    clock.advance(51);
    assert.deepEqual(taken(early, 3), []);
  }
  assert.equal(early.dropped, 20, 'those that nobody came for');
  keep(early, 4, 60);
  keep(early, 5, 40);
  assert.deepEqual([taken(early, 4), taken(early, 5)], [[60], [40]]);
  assert.equal(early.dropped, 20);
  clock.advance(51);
  assert.equal(clock.pending, 0);
});

test('S2: without room the oldest datagram goes, whichever stream it waits for', options, () => {
  const { early } = setUp();
  keep(early, 1, 50);
  keep(early, 1, 20);
  keep(early, 2, 30);
  keep(early, 2, 40);
  assert.equal(early.dropped, 1);
  assert.deepEqual([taken(early, 1), taken(early, 2)], [[20], [30, 40]]);
  keep(early, 1, 101);
  assert.equal(early.dropped, 2);
  assert.deepEqual(taken(early, 1), []);
});

test('S2: what waits for a stream that is open does not expire', options, () => {
  const { clock, early } = setUp();
  keep(early, 1, 10);
  early.created(1);
  keep(early, 2, 10, true);
  clock.advance(10_000);
  assert.deepEqual([taken(early, 1), taken(early, 2)], [[10], [10]]);
  keep(early, 3, 10);
  early.clear();
  assert.equal(clock.pending, 0);
  assert.deepEqual(taken(early, 3), []);
});

test('S2: a taker that has had enough gets no more', options, () => {
  const { early } = setUp();
  keep(early, 1, 10);
  keep(early, 1, 11);
  const sizes: number[] = [];
  early.take(1, (payload) => {
    sizes.push(payload.length);
    return false;
  });
  assert.deepEqual(sizes, [10]);
  assert.deepEqual(taken(early, 1), []);
});

test('streams that come out of order are early until they come', options, () => {
  const created = createCreatedStreams();
  assert.equal(created.has(0), false);
  created.add(0);
  created.add(4);
  assert.deepEqual([0, 1, 2, 3, 4, 5].map(created.has), [true, false, false, false, true, false]);
  assert.equal(created.next, 5);
  created.add(2);
  assert.deepEqual([1, 2, 3].map(created.has), [false, true, false]);
  assert.equal(created.next, 5);
});
