import assert from 'node:assert/strict';
import type { RequestHead } from '../../../src/http/request.js';
import type { StreamOutcome } from '../../../src/http/tunnel-stream.js';
import { codeOf, type ResetReason, reasonOf } from '../../../src/protocol/reset-reason.js';
import { type Bench, conformanceTests, ok, pattern, plenty, writeAll } from './bench.js';
import type { Implementation } from './pair.js';
import type { Recorder } from './recorder.js';

const reasons: readonly ResetReason[] = [
  'cancelled',
  'message-error',
  'datagram-error',
  'connect-error',
  'excessive-load',
  'internal-error',
];

/** End, reset and loss are three things, told once each to both sides. */
export function endingTests(implementation: Implementation, head?: RequestHead): void {
  const { supports } = implementation;
  const it = conformanceTests(implementation, head);

  const assertReset = (
    bench: Bench,
    outcome: StreamOutcome | undefined,
    by: 'peer' | 'local',
    reason: ResetReason,
  ) => {
    assert.equal(outcome?.kind, 'reset');
    if (outcome?.kind !== 'reset') return;
    const { version } = bench.client;
    assert.equal(outcome.by, by);
    assert.equal(outcome.version, version);
    if (version === 'h1') assert.equal(outcome.code, undefined);
    else if (supports.resetCodes) {
      const code = codeOf(reason, version);
      assert.equal(outcome.code, code);
      assert.equal(outcome.reason, by === 'local' ? reason : reasonOf(code, version));
    }
  };
  const bothClosed = (bench: Bench, ...sides: readonly { readonly seen: Recorder }[]) =>
    bench.until(() => sides.every(({ seen }) => seen.outcome !== undefined), 'the outcomes');

  it(
    'W6: the client ends first, the server goes on',
    async (bench) => {
      const { client, server } = await bench.tunnel();
      writeAll(client.stream, pattern(1000));
      client.stream.end();
      await bench.until(() => server.seen.ended, "the client's end");
      assert.equal(server.seen.received, 1000);
      assert.ok(!client.seen.outcome && !server.seen.outcome);
      for (let round = 0; round < 5; round++) {
        writeAll(server.stream, pattern(30_000, round + 1));
        await bench.until(() => client.seen.received === (round + 1) * 30_000, 'bytes after the end');
      }
      server.stream.end();
      await bothClosed(bench, client, server);
      assert.deepEqual([client.seen.outcome, server.seen.outcome], [{ kind: 'ended' }, { kind: 'ended' }]);
      assert.deepEqual(server.seen.order, ['data', 'end', 'closed']);
      assert.deepEqual(client.seen.order, ['response', 'data', 'end', 'closed']);
    },
    { skip: !supports.halfClose && 'no half close' },
  );

  it(
    'W6: the server ends first, the client goes on',
    async (bench) => {
      const { client, server } = await bench.tunnel();
      writeAll(server.stream, pattern(1000));
      server.stream.end();
      await bench.until(() => client.seen.ended, "the server's end");
      assert.equal(client.seen.received, 1000);
      for (let round = 0; round < 5; round++) {
        writeAll(client.stream, pattern(30_000, round + 1));
        await bench.until(() => server.seen.received === (round + 1) * 30_000, 'bytes after the end');
      }
      assert.ok(!client.seen.outcome && !server.seen.outcome);
      client.stream.end();
      await bothClosed(bench, client, server);
      assert.deepEqual([client.seen.outcome, server.seen.outcome], [{ kind: 'ended' }, { kind: 'ended' }]);
    },
    { skip: !supports.halfClose && 'no half close' },
  );

  for (const reader of ['client', 'server'] as const) {
    it(
      `when both have ended, the ${reader} still gets what waits for its credit`,
      async (bench) => {
        const sides = await bench.tunnel(0);
        const [reading, other] =
          reader === 'client' ? [sides.client, sides.server] : [sides.server, sides.client];
        other.stream.grant(plenty);
        const bytes = pattern(10_000);
        writeAll(other.stream, bytes);
        other.stream.end();
        reading.stream.end();
        await bench.until(() => other.seen.ended, "the reader's end");
        for (let round = 0; round < 5; round++) await bench.quiet();
        assert.equal(reading.seen.outcome, undefined);
        reading.stream.grant(1_000);
        await bench.until(() => reading.seen.received === 1_000, 'what the credit allows');
        await bench.quiet();
        assert.equal(reading.seen.outcome, undefined);
        reading.stream.grant(plenty);
        await bothClosed(bench, reading, other);
        assert.equal(reading.seen.received, bytes.length);
        assert.deepEqual([reading.seen.outcome, other.seen.outcome], [{ kind: 'ended' }, { kind: 'ended' }]);
      },
      { skip: !supports.halfClose && 'no half close' },
    );
  }

  it(
    'a client may end before the response',
    async (bench) => {
      const client = bench.open();
      client.stream.grant(plenty);
      writeAll(client.stream, pattern(10));
      client.stream.end();
      const server = await bench.nextRequest();
      server.stream.grant(plenty);
      if (supports.earlyContent) await bench.until(() => server.seen.ended, "the client's end");
      server.stream.respond(ok);
      await bench.until(() => server.seen.ended, "the client's end");
      writeAll(server.stream, pattern(20));
      server.stream.end();
      await bothClosed(bench, client, server);
      assert.equal(server.seen.received, 10);
      assert.equal(client.seen.received, 20);
      assert.deepEqual(client.seen.outcome, { kind: 'ended' });
    },
    { skip: !supports.halfClose && 'no half close' },
  );

  it('after the end nothing more is sent, and ending twice is ending once', async (bench) => {
    const { client, server } = await bench.tunnel();
    writeAll(client.stream, pattern(10));
    client.stream.end();
    writeAll(client.stream, pattern(10));
    client.stream.end();
    await bench.until(() => server.seen.ended, 'the end');
    await bench.quiet();
    assert.equal(server.seen.received, 10);
    assert.deepEqual(
      server.seen.order.filter((event) => event === 'end'),
      ['end'],
    );
  });

  it("a client's reset is a reset at the server, with its reason", async (bench) => {
    const used = supports.multiplex ? reasons : reasons.slice(0, 1);
    for (const reason of used) {
      const { client, server } = await bench.tunnel();
      writeAll(client.stream, pattern(100));
      await bench.until(() => server.seen.received === 100, 'bytes');
      client.stream.reset(reason);
      await bothClosed(bench, client, server);
      assertReset(bench, client.seen.outcome, 'local', reason);
      assertReset(bench, server.seen.outcome, 'peer', reason);
      assert.ok(!server.seen.ended && !client.seen.ended, 'a reset is no end');
    }
  });

  it("a server's reset is a reset at the client, with its reason", async (bench) => {
    const used = supports.multiplex ? reasons : reasons.slice(3, 4);
    for (const reason of used) {
      const { client, server } = await bench.tunnel();
      writeAll(server.stream, pattern(100));
      await bench.until(() => client.seen.received === 100, 'bytes');
      server.stream.reset(reason);
      await bothClosed(bench, client, server);
      assertReset(bench, server.seen.outcome, 'local', reason);
      assertReset(bench, client.seen.outcome, 'peer', reason);
      assert.ok(!server.seen.ended && !client.seen.ended, 'a reset is no end');
    }
  });

  it('a reset behind much unread content is no end, and ends both directions', async (bench) => {
    const { client, server } = await bench.tunnel(0);
    const chunk = pattern(16 * 1024);
    for (let round = 0; round < 8; round++) {
      if (!writeAll(client.stream, chunk)) break;
    }
    await bench.quiet();
    client.stream.reset('connect-error');
    server.stream.grant(plenty);
    await bothClosed(bench, client, server);
    assertReset(bench, server.seen.outcome, 'peer', 'connect-error');
    assert.ok(!server.seen.ended);
    const { length } = server.seen.order;
    writeAll(server.stream, chunk);
    server.stream.end();
    await bench.quiet();
    assert.equal(server.seen.order.length, length, 'nothing is told after the outcome');
  });

  it(
    'a reset after this side has ended still reaches the peer',
    async (bench) => {
      const { client, server } = await bench.tunnel();
      client.stream.end();
      await bench.until(() => server.seen.ended, 'the end');
      server.stream.reset('internal-error');
      await bothClosed(bench, client, server);
      assertReset(bench, client.seen.outcome, 'peer', 'internal-error');
      assertReset(bench, server.seen.outcome, 'local', 'internal-error');
    },
    { skip: !supports.halfClose && 'no half close' },
  );

  it('a request given up before its response is a reset at the server', async (bench) => {
    const client = bench.open();
    const server = await bench.nextRequest();
    server.stream.grant(plenty);
    client.stream.reset('cancelled');
    await bothClosed(bench, client, server);
    assertReset(bench, client.seen.outcome, 'local', 'cancelled');
    assertReset(bench, server.seen.outcome, 'peer', 'cancelled');
    server.stream.respond(ok);
    await bench.quiet();
    assert.deepEqual(client.seen.order, ['closed']);
    assert.deepEqual(server.seen.order, ['closed']);
  });

  it('a request given up in the turn of its opening is over at the client', async (bench) => {
    const client = bench.open();
    client.stream.reset('cancelled');
    await bench.until(() => client.seen.outcome !== undefined, "the client's outcome");
    assertReset(bench, client.seen.outcome, 'local', 'cancelled');
    await bench.quiet();
    const told = bench.waiting.splice(0);
    await bench.until(() => told.every(({ seen }) => seen.outcome !== undefined), "the server's outcome");
    for (const { seen } of told) assert.equal(seen.outcome?.kind, 'reset');
    if (!supports.multiplex) return;
    const next = await bench.tunnel();
    writeAll(next.client.stream, pattern(10));
    await bench.until(() => next.server.seen.received === 10, 'the next stream works');
  });

  it('a refusal by reset before any response', async (bench) => {
    const client = bench.open();
    client.stream.grant(plenty);
    const server = await bench.nextRequest();
    server.stream.reset('refused');
    await bothClosed(bench, client, server);
    assertReset(bench, client.seen.outcome, 'peer', 'refused');
    assert.equal(client.seen.head, undefined);
  });

  it('on a finished stream reset, end and write do nothing', async (bench) => {
    const { client, server } = await bench.tunnel();
    client.stream.end();
    server.stream.end();
    await bothClosed(bench, client, server);
    for (const { stream } of [client, server]) {
      stream.reset('internal-error');
      stream.end();
      writeAll(stream, pattern(10));
      stream.grant(100);
    }
    await bench.quiet();
    for (const { seen, stream } of [client, server]) {
      assert.equal(seen.outcomes, 1);
      assert.deepEqual(seen.outcome, { kind: 'ended' });
      assert.deepEqual(await stream.closed, { kind: 'ended' });
    }
    if (!supports.multiplex) return;
    const next = await bench.tunnel();
    writeAll(next.client.stream, pattern(10));
    await bench.until(() => next.server.seen.received === 10, 'the connection is unharmed');
  });

  it('the outcome is told once, last, and the promise is the same', async (bench) => {
    const { client, server } = await bench.tunnel();
    let resolved: StreamOutcome | undefined;
    client.stream.closed.then((outcome) => {
      resolved = outcome;
      assert.equal(client.seen.outcomes, 1, 'the handler was told before');
    });
    client.stream.reset('cancelled');
    client.stream.reset('internal-error');
    server.stream.reset('connect-error');
    await bothClosed(bench, client, server);
    await bench.quiet();
    assertReset(bench, client.seen.outcome, 'local', 'cancelled');
    for (const { seen } of [client, server]) {
      assert.equal(seen.outcomes, 1);
      assert.equal(seen.order.at(-1), 'closed');
      assert.equal(seen.outcome?.kind, 'reset');
    }
    assert.equal(resolved, client.seen.outcome);
    assert.equal(await server.stream.closed, server.seen.outcome);
  });

  it('a reset out of a data event is the last thing but the outcome', async (bench) => {
    const { client, server } = await bench.tunnel();
    server.seen.onData = () => server.stream.reset('connect-error');
    for (let round = 0; round < 20; round++) writeAll(client.stream, pattern(3000, round + 1));
    await bothClosed(bench, client, server);
    await bench.quiet();
    assert.deepEqual(server.seen.order, ['data', 'closed']);
    assertReset(bench, client.seen.outcome, 'peer', 'connect-error');
  });

  it('a writer that waits for room is told of the reset', async (bench) => {
    const { client, server } = await bench.tunnel(0);
    const chunk = pattern(16 * 1024);
    let full = false;
    for (let left = 4096; left > 0 && !full; left--) full = !writeAll(server.stream, chunk);
    assert.ok(full);
    await bench.quiet();
    client.stream.reset('cancelled');
    await bothClosed(bench, client, server);
    assertReset(bench, server.seen.outcome, 'peer', 'cancelled');
    assert.equal(server.stream.buffered, 0, 'nothing is kept for a stream that is over');
    assert.ok(!client.seen.ended);
  });

  it(
    'a stream may be opened out of the outcome of another',
    async (bench) => {
      const first = await bench.tunnel();
      let second: ReturnType<typeof bench.open> | undefined;
      first.client.seen.onClosed = () => {
        second = bench.open();
      };
      first.client.stream.reset('cancelled');
      const server = await bench.nextRequest();
      server.stream.respond(ok);
      await bench.until(() => second?.seen.head !== undefined, 'its response');
    },
    { skip: !supports.multiplex && 'one stream a connection' },
  );

  it('a peer that wants no more bytes goes on sending its own', async (bench) => {
    const { client, server } = await bench.tunnel();
    const { stopPeer } = bench.pair;
    if (!stopPeer) {
      // Without a way to ask for it the rule that remains: nobody is told of it unasked.
      client.stream.end();
      server.stream.end();
      await bothClosed(bench, client, server);
      assert.deepEqual(client.seen.stopped, []);
      return;
    }
    stopPeer(server.stream);
    await bench.until(() => client.seen.stopped.length === 1, 'the client is told');
    assert.deepEqual(client.seen.stopped, ['no-error']);
    writeAll(server.stream, pattern(1000));
    server.stream.end();
    await bench.until(() => client.seen.outcome !== undefined, 'the outcome');
    assert.equal(client.seen.received, 1000);
    assert.deepEqual(client.seen.outcome, { kind: 'ended' });
  });
}
