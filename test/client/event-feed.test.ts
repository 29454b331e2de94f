import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEventFeed } from '../../src/client/event-feed.js';

async function rest<T>(events: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const event of events) found.push(event);
  return found;
}

test('each reader gets what comes after it began, in order, and ends with the feed', async () => {
  const feed = createEventFeed<number>();
  const first = feed.subscribe();
  feed.emit(1);
  const second = feed.subscribe();
  feed.emit(2);
  feed.end();
  assert.deepEqual(await rest(first), [1, 2]);
  assert.deepEqual(await rest(second), [2]);
  assert.deepEqual(await rest(feed.subscribe()), []);
});

test('a reader that does not read keeps the newest 256', async () => {
  const feed = createEventFeed<number>();
  const reader = feed.subscribe();
  for (let count = 0; count < 1_000; count++) feed.emit(count);
  feed.end();
  const kept = await rest(reader);
  assert.deepEqual([kept.length, kept[0], kept.at(-1)], [256, 744, 999]);
});

test('a waiting reader is woken by an event and by leaving', async () => {
  const feed = createEventFeed<string>();
  const reader = feed.subscribe();
  const waiting = reader.next();
  feed.emit('up');
  assert.deepEqual(await waiting, { done: false, value: 'up' });
  const again = reader.next();
  await reader.return?.();
  assert.deepEqual(await again, { done: true, value: undefined });
});
