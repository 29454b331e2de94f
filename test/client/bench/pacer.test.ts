import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPacer } from '../../../src/client/bench/pacer.js';
import { createSamples } from '../../../src/client/bench/samples.js';
import { createVirtualClock } from '../../../src/clock/virtual-clock.js';

test('a pacer keeps its rate, and ends when it is told or tells', () => {
  const clock = createVirtualClock();
  let steps = 0;
  const pacer = createPacer(clock, 2_500, () => {
    steps += 1;
    return true;
  });
  clock.advance(1_000);
  assert.ok(Math.abs(steps - 2_500) <= 3, `${steps}`);
  pacer.stop();
  clock.advance(1_000);
  assert.ok(Math.abs(steps - 2_500) <= 3, `${steps}`);
  assert.equal(clock.pending, 0);

  let few = 0;
  createPacer(clock, 1_000, () => ++few < 5);
  clock.advance(1_000);
  assert.equal(few, 5);
  assert.equal(clock.pending, 0);
});

test('percentiles of samples, and of none', () => {
  const samples = createSamples(5_000);
  for (let value = 10_000; value >= 1; value--) samples.add(value);
  assert.equal(samples.count, 5_000);
  const { min, p50, p90, p99, max } = samples.summary();
  assert.deepEqual([min, p50, p90, p99, max], [5_001, 7_500, 9_500, 9_950, 10_000]);
  const none = createSamples().summary();
  assert.equal(none.count, 0);
  assert.ok(Number.isNaN(none.p50));
});
