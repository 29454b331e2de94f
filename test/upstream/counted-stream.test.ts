import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ContentCounters } from '../../src/upstream/counted-stream.js';

test('what the engine moves of a stream counts while it runs, and once after its end', async () => {
  const counters = new ContentCounters();
  counters.sent = 1;
  counters.received = 2;
  let moved = { bytesIn: 10, bytesOut: 100 };
  let over: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    over = resolve;
  });
  counters.join({ statistics: () => moved }, ended);
  counters.join({ statistics: () => ({ bytesIn: 1000, bytesOut: 2000 }) }, new Promise(() => undefined));
  assert.deepEqual(counters.total(), { bytesSent: 2101, bytesReceived: 1012 });
  moved = { bytesIn: 20, bytesOut: 200 };
  assert.deepEqual(counters.total(), { bytesSent: 2201, bytesReceived: 1022 });
  over();
  await ended;
  assert.deepEqual(counters.total(), { bytesSent: 2201, bytesReceived: 1022 });
});
