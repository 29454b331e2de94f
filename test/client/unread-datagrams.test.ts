import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createUnreadDatagrams } from '../../src/client/unread-datagrams.js';

test('the oldest go first, by number and by bytes, and are counted', () => {
  const byCount = createUnreadDatagrams({ count: 2, bytes: 100 });
  for (const text of ['a', 'b', 'c']) byCount.push(Buffer.from(text));
  assert.equal(byCount.dropped, 1);
  assert.equal(byCount.shift()?.toString(), 'b');
  const byBytes = createUnreadDatagrams({ count: 10, bytes: 5 });
  for (const text of ['aa', 'bb', 'cc']) byBytes.push(Buffer.from(text));
  assert.deepEqual([byBytes.length, byBytes.bytes, byBytes.dropped], [2, 4, 1]);
  assert.equal(byBytes.shift()?.toString(), 'bb');
});

test('behaves as a list from which the front is cut, whatever the order of pushes and reads', () => {
  const step = fc.oneof(fc.constant('read' as const), fc.uint8Array({ maxLength: 6 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const limits = { count: 20, bytes: 40 };
      const queue = createUnreadDatagrams(limits);
      const model: Buffer[] = [];
      let dropped = 0;
      const bytes = (): number => model.reduce((sum, datagram) => sum + datagram.length, 0);
      for (const next of steps) {
        if (next === 'read') {
          assert.equal(queue.shift(), model.shift());
          continue;
        }
        const datagram = Buffer.from(next);
        while (
          model.length > 0 &&
          (model.length >= limits.count || bytes() + datagram.length > limits.bytes)
        ) {
          model.shift();
          dropped += 1;
        }
        model.push(datagram);
        queue.push(datagram);
        assert.deepEqual([queue.length, queue.bytes, queue.dropped], [model.length, bytes(), dropped]);
      }
    }),
  );
});
