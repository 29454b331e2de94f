import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../src/clock/system-clock.js';
import { createVirtualClock } from '../../src/clock/virtual-clock.js';
import type { ClientStreamHandler, StreamOutcome } from '../../src/http/tunnel-stream.js';
import { seededRandom } from '../../src/quic/simulated/random.js';
import { createPool } from '../../src/upstream/pool.js';
import { streamOpener } from '../../src/upstream/stream-opener.js';
import { createFakeDriver, latency, target, transportAt } from './fake-driver.js';
import { openHop, until } from './real-hop.js';
import { head } from './recording-session.js';
import { peerStream } from './transport-peer.js';

const options = { timeout: 120_000 };
const random = seededRandom(1);
const randomBytes = (length: number): Uint8Array => new Uint8Array(length);

function recorder() {
  const outcomes: StreamOutcome[] = [];
  const log: string[] = [];
  const handler: ClientStreamHandler = {
    response: ({ status }) => void log.push(`response ${status}`),
    data: (bytes, start, end) => void log.push(`data ${Buffer.from(bytes.subarray(start, end)).toString()}`),
    end: () => void log.push('end'),
    datagram: (bytes, start, end) =>
      void log.push(`datagram ${Buffer.from(bytes.subarray(start, end)).toString()}`),
    drain: () => void log.push('drain'),
    closed: (outcome) => void outcomes.push(outcome),
  };
  return { handler, outcomes, log };
}

async function bench() {
  const clock = createVirtualClock();
  const driver = createFakeDriver(clock);
  const pool = createPool({ driver, clock, random, randomBytes });
  const checkingOut = pool.checkout(target());
  await clock.advanceAsync(latency);
  return { clock, driver, pool, checkout: await checkingOut };
}

describe('a stream opened by whoever knows only connections', { ...options, timeout: 600_000 }, () => {
  test('O4: it is opened at once, told everything, and its outcome once', options, async () => {
    const { driver, pool, checkout, clock } = await bench();
    const { handler, log, outcomes } = recorder();
    const stream = streamOpener(checkout, new AbortController().signal).open(head, handler);
    const peer = peerStream(transportAt(driver, 0).peer, 0);
    stream.grant(100);
    peer.respond();
    peer.datagram('one');
    peer.write('two');
    peer.reset('connect-error');
    await clock.advanceAsync(0);
    assert.deepEqual(log, ['response 200', 'datagram one', 'data two']);
    assert.equal(outcomes.length, 1);
    assert.equal(outcomes[0]?.kind, 'reset');
    assert.deepEqual(await stream.closed, outcomes[0]);
    assert.equal(checkout.owner.streams, 0);
    await pool.closeAll();
  });

  test('O9: when its session goes the outcome is told all the same', options, async () => {
    const { pool, checkout, clock } = await bench();
    const gone = new AbortController();
    const { handler, outcomes } = recorder();
    streamOpener(checkout, gone.signal).open(head, handler);
    gone.abort();
    await clock.advanceAsync(0);
    assert.deepEqual(
      outcomes.map((outcome) => outcome.kind === 'reset' && outcome.by),
      ['local'],
    );
    assert.equal(checkout.owner.streams, 0);
    await pool.closeAll();
  });

  test('P6: where the connection is gone the stream closes with the reason', options, async () => {
    const { driver, pool, checkout, clock } = await bench();
    transportAt(driver, 0).lose();
    const { handler, outcomes } = recorder();
    const stream = streamOpener(checkout, new AbortController().signal).open(head, handler);
    assert.equal(stream.id, -1);
    assert.equal(stream.write(new Uint8Array(3), 0, 3), true);
    stream.reset('cancelled');
    await clock.advanceAsync(0);
    assert.equal(outcomes.length, 1);
    assert.equal(outcomes[0]?.kind, 'lost');
    assert.deepEqual(await stream.closed, outcomes[0]);
    await pool.closeAll();
  });

  for (const version of ['h3', 'h2', 'h1'] as const) {
    test(`O4: it carries content on ${version} over loopback`, options, async () => {
      const hop = await openHop();
      const pool = createPool({ driver: hop.driver, clock: systemClock, random, randomBytes });
      const checkout = await pool.checkout(hop.target(version));
      const { handler, log, outcomes } = recorder();
      const stream = streamOpener(checkout, new AbortController().signal).open(head, handler);
      stream.grant(1_000);
      await until(() => hop.connections[0]?.streams.length === 1, 'the request');
      const [connection] = hop.connections;
      assert.ok(connection);
      const peer = peerStream(connection, 0);
      peer.respond();
      peer.write('hello');
      await until(() => log.length === 2, 'the content');
      assert.deepEqual(log, ['response 200', 'data hello']);
      peer.end();
      await until(() => log.length === 3, 'the end');
      stream.end();
      await until(() => outcomes.length === 1, 'the outcome');
      assert.deepEqual(outcomes, [{ kind: 'ended' }]);
      await pool.closeAll();
      await hop.close();
    });
  }
});
