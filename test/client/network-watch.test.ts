import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemNetwork, watchNetwork } from '../../src/client/network-watch.js';
import { createVirtualClock } from '../../src/clock/virtual-clock.js';

test('R2: a change of network is another set of addresses, or a sleep; nothing else, and nothing after the stop', () => {
  const clock = createVirtualClock();
  let addresses = '192.0.2.1';
  let slept = 0;
  let changes = 0;
  const watch = watchNetwork(
    clock,
    { addresses: () => addresses, wallTime: () => clock.now() + slept },
    () => {
      changes += 1;
    },
  );
  clock.advance(60_000);
  assert.equal(changes, 0);
  addresses = '192.0.2.1,2001:db8::1';
  clock.advance(3_000);
  assert.equal(changes, 1);
  slept += 30_000;
  clock.advance(3_000);
  assert.equal(changes, 2);
  clock.advance(60_000);
  assert.equal(changes, 2);
  watch.stop();
  assert.equal(clock.pending, 0);
});

test('the addresses of this machine are a text that stays while nothing changes', () => {
  assert.equal(systemNetwork.addresses(), systemNetwork.addresses());
  assert.ok(!systemNetwork.addresses().includes('127.0.0.1'));
});
