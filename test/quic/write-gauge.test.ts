import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSharedRoom, WriteGauge, writeMarks } from '../../src/quic/write-gauge.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Moves so much through the gauge, nothing left waiting. */
function move(gauge: WriteGauge, bytes: number): void {
  for (let moved = 0; moved < bytes; moved += 32 * KIB) {
    assert.equal(gauge.written(32 * KIB), true);
    gauge.went(32 * KIB);
  }
}

test('a new stream is stopped at the mark, and told of the drain once, at half of it', () => {
  const gauge = new WriteGauge(createSharedRoom());
  assert.equal(gauge.written(writeMarks.high - 1), true);
  assert.equal(gauge.written(1), false);
  assert.equal(gauge.went(writeMarks.high / 2 - 1), false);
  assert.equal(gauge.went(1), true);
  assert.equal(gauge.went(10 * KIB), false);
  assert.equal(gauge.buffered, writeMarks.high / 2 - 10 * KIB);
});

test('one that has moved much gets the raised mark, one that stands still does not', () => {
  const gauge = new WriteGauge(createSharedRoom());
  move(gauge, 16 * MIB);
  assert.equal(gauge.written(writeMarks.raised - 1), true);
  assert.equal(gauge.written(1), false);
  assert.equal(gauge.went(writeMarks.raised / 2), true);

  const slow = new WriteGauge(createSharedRoom());
  move(slow, 15 * MIB);
  assert.equal(slow.written(writeMarks.high), false);
});

test('what waits beyond the marks is bounded in all, and given back when it went or is given up', () => {
  const room = createSharedRoom(300 * KIB);
  const gauges = Array.from({ length: 4 }, () => new WriteGauge(room));
  for (const gauge of gauges) move(gauge, 16 * MIB);
  const [first, second, third, fourth] = gauges as [WriteGauge, WriteGauge, WriteGauge, WriteGauge];
  assert.equal(first.written(writeMarks.raised), false);
  assert.equal(second.written(writeMarks.raised - 1), true);
  assert.ok(room.used >= room.most);
  assert.equal(third.written(writeMarks.high), false, 'the room is used up');
  first.went(writeMarks.raised);
  assert.equal(fourth.written(writeMarks.high + 1), true, 'there is room again');
  for (const gauge of gauges) gauge.clear();
  assert.equal(room.used, 0);
});

test('once stopped it stays stopped until the drain, although the mark is raised meanwhile', () => {
  const gauge = new WriteGauge(createSharedRoom());
  move(gauge, 16 * MIB - 32 * KIB);
  assert.equal(gauge.written(100 * KIB), false);
  assert.equal(gauge.went(40 * KIB), false);
  assert.equal(gauge.written(KIB), false);
  assert.equal(gauge.went(10 * KIB), false);
  assert.equal(gauge.written(KIB), false, 'below the mark, and not yet drained');
  assert.equal(gauge.went(20 * KIB), true);
  assert.equal(gauge.written(200 * KIB), true);
});
