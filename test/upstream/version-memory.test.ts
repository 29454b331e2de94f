import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemClock } from '../../src/clock/system-clock.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { createVersionMemory } from '../../src/upstream/version-memory.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** The error of a socket, made where sockets tell of theirs: in a listener. */
function failOnce(remember: (error: unknown) => void): WeakRef<EventEmitter> {
  const socket = new EventEmitter();
  socket.on('error', (cause) => remember(new BautaError('ERR_PROXY_UNREACHABLE', { cause })));
  socket.emit('error', new Error('refused'));
  return new WeakRef(socket);
}

test('R2: what is remembered of a failure keeps nothing of the connection that failed', {
  timeout: 120_000,
}, async () => {
  const memory = createVersionMemory(systemClock, 60_000);
  const socket = failOnce((error) => memory.failed('origin', 'h2', error));
  for (let round = 0; round < 100 && socket.deref() !== undefined; round++) {
    await turn();
    collect();
  }
  assert.equal(socket.deref(), undefined);
  assert.equal(memory.failures('origin').length, 1);
});
