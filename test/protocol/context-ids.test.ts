import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createContextIds } from '../../src/protocol/context-ids.js';

test('S12: even ids belong to the client, odd ones to the proxy, and each side opens its own only', () => {
  const client = createContextIds('client');
  const proxy = createContextIds('proxy');
  assert.deepEqual([client.allocate(), client.allocate(), client.allocate()], [2, 4, 6]);
  assert.deepEqual([proxy.allocate(), proxy.allocate(), proxy.allocate()], [1, 3, 5]);
  assert.equal(client.openByPeer(8), 'not-yours');
  assert.equal(proxy.openByPeer(7), 'not-yours');
  assert.equal(client.openByPeer(1), 'opened');
  assert.equal(proxy.openByPeer(2), 'opened');
  for (const id of [0, -2, 1.5, Number.POSITIVE_INFINITY]) assert.equal(proxy.openByPeer(id), 'not-yours');
});

test('S12: no id is ever used again', () => {
  const proxy = createContextIds('proxy');
  assert.equal(proxy.openByPeer(4), 'opened');
  assert.equal(proxy.openByPeer(4), 'reused');
  proxy.close(4);
  assert.equal(proxy.openByPeer(4), 'reused');
  assert.equal(proxy.allocate(), 1);
  proxy.close(1);
  assert.equal(proxy.allocate(), 3);
});

test('S12: context 0 is always open, unknown and closed ids are not', () => {
  const proxy = createContextIds('proxy');
  proxy.openByPeer(2);
  proxy.close(0);
  assert.deepEqual([0, 2, 4, 1].map(proxy.isOpen), [true, true, false, false]);
  proxy.close(2);
  proxy.close(2);
  assert.ok(!proxy.isOpen(2));
});

test('a peer can make neither endlessly many open ids nor endless memory of closed ones', () => {
  const open = createContextIds('proxy');
  const results = Array.from({ length: 2_000 }, (_, i) => open.openByPeer(2 + 2 * i));
  assert.equal(results.indexOf('too-many'), 1_024);
  open.close(2);
  assert.equal(open.openByPeer(10_000), 'opened');

  const scattered = createContextIds('proxy');
  const outcomes = new Set<string>();
  for (let i = 0; i < 2_000; i++) {
    outcomes.add(scattered.openByPeer(2 + 4 * i));
    scattered.close(2 + 4 * i);
  }
  assert.ok(outcomes.has('too-many'));

  const orderly = createContextIds('proxy');
  for (let i = 1; i < 50_000; i++) {
    assert.equal(orderly.openByPeer(2 * i), 'opened');
    orderly.close(2 * i);
  }
});

test('opening in any order agrees with a plain set', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 })), (ids) => {
      const proxy = createContextIds('proxy');
      const seen = new Set<number>();
      for (const half of ids) {
        assert.equal(proxy.openByPeer(2 * half), seen.has(half) ? 'reused' : 'opened');
        seen.add(half);
        proxy.close(2 * half);
      }
    }),
  );
});
