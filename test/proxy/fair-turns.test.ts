import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFairTurns } from '../../src/proxy/fair-turns.js';

const never = new AbortController().signal;
const settings = { timeout: 120_000 };

test('a source that asks for many turns waits behind those that ask for one', settings, async () => {
  const turns = createFairTurns({ concurrent: 1, waiting: 100, waitingPerSource: 50 });
  const order: string[] = [];
  await turns.take('busy', never);
  const taken: Promise<unknown>[] = [];
  const ask = (source: string, name: string): void => {
    taken.push(
      turns.take(source, never).then(() => {
        order.push(name);
        turns.done();
      }),
    );
  };
  for (let count = 1; count <= 4; count++) ask('busy', `busy ${count}`);
  ask('calm', 'calm');
  ask('third', 'third');
  turns.done();
  await Promise.all(taken);
  assert.deepEqual(order, ['busy 1', 'calm', 'third', 'busy 2', 'busy 3', 'busy 4']);
  // Nothing is left over: there is a turn at once.
  await turns.take('calm', never);
});

test('one source cannot fill the queue', settings, async () => {
  const turns = createFairTurns({ concurrent: 1, waiting: 4, waitingPerSource: 2 });
  await turns.take('busy', never);
  const cancel = new AbortController();
  const waits = [turns.take('busy', cancel.signal), turns.take('busy', cancel.signal)];
  await assert.rejects(turns.take('busy', never), { code: 'ERR_TOO_MANY' });
  const calm = [turns.take('a', never), turns.take('b', never)];
  await assert.rejects(turns.take('c', never), { code: 'ERR_TOO_MANY' });
  // Who gives up gives the place back.
  cancel.abort();
  for (const wait of waits) await assert.rejects(wait, { code: 'ERR_ABORTED' });
  const again = turns.take('busy', never);
  for (const wait of [calm[0], calm[1], again]) {
    turns.done();
    await wait;
  }
  await assert.rejects(turns.take('busy', AbortSignal.abort()), { code: 'ERR_ABORTED' });
});
