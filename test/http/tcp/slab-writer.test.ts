import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { createSlabWriter, createWriteMemory } from '../../../src/http/tcp/slab-writer.js';

/** A stream that takes one piece at a time, when it is told to. */
function createSlowStream() {
  const pieces: Buffer[] = [];
  const waiting: ((error?: Error | null) => void)[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      pieces.push(chunk);
      waiting.push(done);
    },
  });
  const take = async (error?: Error): Promise<void> => {
    waiting.shift()?.(error);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { stream, pieces, waiting, take };
}

test('small pieces go out in order, joined while one is on its way, and the end follows the last', async () => {
  const { stream, pieces, take } = createSlowStream();
  const writer = createSlabWriter(stream, createWriteMemory(2), () => undefined);
  const sent = randomBytes(50_000);
  for (let at = 0; at < sent.length; at += 100) {
    if (at % 200 === 0) assert.equal(writer.write(sent, at, at + 100), true);
    else writer.writeFramed(sent.subarray(at), 30, sent, at + 30, at + 100);
  }
  writer.end();
  assert.equal(pieces.length, 1);
  const ended = once(stream, 'finish');
  await take();
  assert.deepEqual(
    pieces.map((piece) => piece.length),
    [100, 49_900],
  );
  assert.ok(Buffer.concat(pieces).equals(sent));
  assert.equal(stream.writableEnded, false);
  await take();
  await ended;
  assert.equal(writer.buffered, 0);
});

test('it stops at the mark, tells of the drain once, and uses its memory again', async () => {
  const { stream, pieces, waiting, take } = createSlowStream();
  const memory = createWriteMemory(2);
  let drains = 0;
  const writer = createSlabWriter(stream, memory, () => {
    drains += 1;
  });
  const large = randomBytes(200_000);
  assert.equal(writer.write(large, 0, large.length), false);
  assert.equal(writer.buffered, large.length);
  const copies = [Buffer.from(pieces[0] ?? '')];
  while (waiting.length > 0) {
    const before = pieces.length;
    await take();
    if (pieces.length > before) copies.push(Buffer.from(pieces.at(-1) ?? ''));
  }
  assert.ok(Buffer.concat(copies).equals(large));
  assert.equal(drains, 1);
  assert.equal(writer.buffered, 0);
  const slab = memory.slabs.take();
  assert.ok(pieces.some((piece) => piece.buffer === slab.buffer));
});

test('stopped, it forgets what waits and gives the room back; after an error it uses that memory no more', async () => {
  const { stream, pieces, take } = createSlowStream();
  stream.on('error', () => undefined);
  const memory = createWriteMemory(2);
  const writer = createSlabWriter(stream, memory, () => assert.fail('nobody waits'));
  const bytes = randomBytes(100_000);
  writer.write(bytes, 0, bytes.length);
  assert.ok(memory.room.used > 0);
  writer.stop();
  assert.equal(memory.room.used, 0);
  assert.equal(writer.write(bytes, 0, bytes.length), true);
  await take(new Error('cut off'));
  assert.equal(pieces.length, 1);
  assert.notEqual(memory.slabs.take().buffer, pieces[0]?.buffer);
});
