import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startChildProxy } from './child-proxy.js';

test('TCP connections that are reset before they are accepted leave no socket', {
  timeout: 120_000,
  ...(process.platform === 'linux' ? {} : { skip: 'needs /proc' }),
}, async () => {
  const proxy = await startChildProxy();
  const before = await proxy.standing();
  for (let round = 0; round < 10; round++) {
    const sockets = Array.from({ length: 50 }, () => connect(proxy.port, '127.0.0.1'));
    const closed = sockets.map((socket) => once(socket, 'close'));
    for (const socket of sockets) {
      socket.on('error', () => undefined);
      socket.once('connect', () => {
        socket.write('x');
        socket.resetAndDestroy();
      });
    }
    await Promise.all(closed);
  }
  const deadline = performance.now() + 60_000;
  let after = await proxy.standing();
  while (after.sockets > before.sockets && performance.now() < deadline) {
    await delay(100);
    after = await proxy.standing();
  }
  assert.equal(after.sockets, before.sockets);
  assert.deepEqual(after.objects, before.objects);
  assert.equal(await proxy.close(), 0);
});
