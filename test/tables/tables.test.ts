import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Line, type Place } from '../../src/tables/line.js';
import { NumberTable } from '../../src/tables/number-table.js';

const key = fc.oneof(
  fc.nat(40),
  fc.nat(40).map((at) => at * 4),
  fc.maxSafeNat(),
);

test('a table of numbers does what a Map does', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), key }),
    fc.record({ kind: fc.constant('delete' as const), key }),
    fc.record({ kind: fc.constant('clear' as const), key: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const table = new NumberTable<number>();
      const model = new Map<number, number>();
      for (const [value, { kind, key }] of steps.entries()) {
        if (kind === 'set') {
          table.set(key, value);
          model.set(key, value);
        } else if (kind === 'delete') {
          assert.equal(table.delete(key), model.delete(key));
        } else if (value % 5 === 0) {
          table.clear();
          model.clear();
        }
        assert.equal(table.size, model.size);
        assert.equal(table.get(key), model.get(key));
        assert.equal(table.has(key), model.has(key));
      }
      const ordered = [...model].sort(([a], [b]) => a - b).map(([, value]) => value);
      assert.deepEqual(table.values(), ordered);
      for (const [known, value] of model) assert.equal(table.get(known), value);
    }),
  );
});

test('ten thousand numbers of every kind are found again, and all can go', () => {
  const table = new NumberTable<string>();
  const keys = Array.from({ length: 10_000 }, (_, at) => (at % 3 === 0 ? at * 4 : at * 2 ** 33 + 1));
  for (const one of keys) table.set(one, String(one));
  for (const one of keys) assert.equal(table.get(one), String(one));
  for (const one of keys) assert.equal(table.delete(one), true);
  assert.equal(table.size, 0);
  assert.deepEqual(table.values(), []);
});

test('what is no number from 0 on is not there, and cannot be', () => {
  const table = new NumberTable<string>();
  assert.deepEqual(
    [table.get(-1), table.has(-1), table.delete(-1), table.size],
    [undefined, false, false, 0],
  );
  assert.throws(() => table.set(-1, 'none'), RangeError);
  assert.throws(() => table.set(Number.NaN, 'none'), RangeError);
  table.set(0, 'first');
  assert.deepEqual([table.get(0), table.size], ['first', 1]);
});

test('a line keeps its order, and anyone may leave', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(30)), { maxLength: 200 }), (steps) => {
      const line = new Line<number>();
      const places: Place<number>[] = [];
      const model: number[] = [];
      for (const [at, leaver] of steps.entries()) {
        if (leaver === null) {
          places[at] = line.join(at);
          model.push(at);
          continue;
        }
        const place = places[leaver];
        if (!place) continue;
        const known = model.indexOf(leaver);
        assert.equal(line.leave(place), known >= 0);
        if (known >= 0) model.splice(known, 1);
      }
      assert.deepEqual([...line], model);
      assert.equal(line.size, model.length);
      assert.equal(line.first, model[0]);
      line.clear();
      assert.deepEqual([[...line], line.size, line.first], [[], 0, undefined]);
    }),
  );
});
