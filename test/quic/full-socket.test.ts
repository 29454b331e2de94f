import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inNamespace } from './in-namespace.js';

test('a socket whose kernel buffer is full goes on when there is room', { timeout: 60_000 }, async (t) => {
  const told = await inNamespace(
    'ip link set lo up && tc qdisc add dev lo root tbf rate 40mbit burst 80kb latency 20s',
    'full-socket.js',
  );
  if (told === undefined) {
    t.skip('no network namespace with a rate can be made here');
    return;
  }
  assert.deepEqual(told, { refused: 0, packets: 300 });
});
