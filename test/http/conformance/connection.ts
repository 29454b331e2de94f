import assert from 'node:assert/strict';
import type { StreamOutcome } from '../../../src/http/tunnel-stream.js';
import { conformanceTests, pattern, writeAll } from './bench.js';
import type { Implementation } from './pair.js';
import { createRecorder } from './recorder.js';

/** The connection: who it is, how it drains, and what its end means for the streams. */
export function connectionTests(implementation: Implementation): void {
  const { supports } = implementation;
  const it = conformanceTests(implementation);
  const single = !supports.multiplex && 'one stream a connection';
  /** What the streams and the connection of the other side are told of a close. */
  const closedByPeer = supports.closeIsLoss === false ? 'reset' : 'peer-closed';
  const assertLostByPeer = (outcome: StreamOutcome | undefined): void => {
    assert.equal(outcome?.kind, supports.closeIsLoss === false ? 'reset' : 'lost');
    if (outcome?.kind === 'lost') assert.equal(outcome.reason, closedByPeer);
    else assert.equal(outcome?.kind === 'reset' && outcome.by, 'peer');
  };

  it('both ends know who they are', async (bench) => {
    assert.ok(bench.client.usable);
    assert.equal(bench.client.streams, 0);
    assert.equal(bench.server.streams, 0);
    assert.equal(bench.client.version, bench.server.version);
    assert.ok(Number.isSafeInteger(bench.server.id));
    assert.ok(bench.server.remoteAddress.port > 0 && bench.server.localAddress.port > 0);
    assert.deepEqual(bench.client.remoteAddress, bench.server.localAddress);
    assert.equal(bench.client.settings.extendedConnect, true);
    assert.equal(bench.client.settings.datagrams, supports.nativeDatagrams);
    const { client } = await bench.tunnel();
    assert.equal(bench.client.streams, 1);
    assert.equal(bench.server.streams, 1);
    assert.equal(client.stream.nativeDatagrams, supports.nativeDatagrams);
    for (const statistics of [await bench.client.statistics(), await bench.server.statistics()]) {
      assert.equal(statistics !== undefined, bench.client.version === 'h3');
      if (statistics) assert.ok(statistics.bytesSent > 0 && statistics.pathMtu >= 1200);
    }
  });

  it("the client's close loses every stream, each side with its reason", async (bench) => {
    const tunnels = [await bench.tunnel()];
    if (supports.multiplex) tunnels.push(await bench.tunnel(), await bench.tunnel(0));
    const closing = Promise.all([bench.client.close(), bench.client.close()]);
    await bench.until(
      () => bench.serverClose !== undefined && bench.clientClose !== undefined,
      'both are told',
    );
    await closing;
    for (const { client, server } of tunnels) {
      assert.equal(client.seen.outcome?.kind, 'lost');
      assert.ok(!server.seen.ended, 'a loss is no end');
      assert.equal(client.seen.outcome?.kind === 'lost' && client.seen.outcome.reason, 'closed');
      assertLostByPeer(server.seen.outcome);
      assert.equal(client.seen.outcomes + server.seen.outcomes, 2);
    }
    assert.equal(bench.clientClose?.reason, 'closed');
    assert.equal(bench.serverClose?.reason, closedByPeer);
    assert.equal((await bench.client.closed).reason, 'closed');
    assert.equal((await bench.server.closed).reason, closedByPeer);
    assert.ok(!bench.client.usable);
    const late = bench.open();
    writeAll(late.stream, pattern(10));
    await bench.until(() => late.seen.outcome !== undefined, 'a late stream is told');
    assert.equal(late.seen.outcome?.kind, 'lost');
    assert.deepEqual(late.seen.order, ['closed']);
  });

  it("the server's close loses every stream", async (bench) => {
    const { client, server } = await bench.tunnel();
    bench.server.close('shutdown');
    bench.server.close('internal-error');
    await bench.until(
      () => bench.serverClose !== undefined && bench.clientClose !== undefined,
      'both are told',
    );
    assertLostByPeer(client.seen.outcome);
    assert.equal(server.seen.outcome?.kind === 'lost' && server.seen.outcome.reason, 'closed');
    assert.equal(bench.clientClose?.reason, closedByPeer);
    assert.equal(bench.serverClose?.reason, 'closed');
    assert.ok(!bench.client.usable);
    assert.ok(!client.seen.ended && !server.seen.ended);
  });

  it(
    'a connection that breaks is a loss for every stream on both sides',
    async (bench) => {
      const tunnels = [await bench.tunnel()];
      if (supports.multiplex) tunnels.push(await bench.tunnel(), await bench.tunnel());
      bench.pair.breakConnection?.();
      for (const { client, server } of tunnels) {
        writeAll(client.stream, pattern(100));
        writeAll(server.stream, pattern(100));
      }
      await bench.until(
        () => bench.clientClose !== undefined && bench.serverClose !== undefined,
        'both notice',
      );
      for (const { client, server } of tunnels) {
        for (const { seen } of [client, server]) {
          assert.equal(seen.outcome?.kind, 'lost');
          assert.ok(
            seen.outcome?.kind === 'lost' && ['reset', 'timeout'].includes(seen.outcome.reason),
            JSON.stringify(seen.outcome),
          );
          assert.ok(!seen.ended);
        }
      }
    },
    // A broken connection is made by the implementation's own means; without them there is nothing to look at.
    { skip: implementation.supports.breakable ? undefined : 'cannot be broken from outside' },
  );

  it(
    'a draining server lets streams finish and takes no new ones',
    async (bench) => {
      const { client, server } = await bench.tunnel();
      bench.server.drain();
      await bench.until(() => bench.clientEvents.includes('draining'), 'the client is told');
      await bench.until(() => !bench.client.usable, 'the client is not usable');
      const late = bench.open();
      await bench.until(() => late.seen.outcome !== undefined, 'a late stream is told');
      assert.equal(late.seen.outcome?.kind, 'lost');
      assert.equal(late.seen.outcome?.kind === 'lost' && late.seen.outcome.reason, 'peer-closed');
      assert.equal(bench.waiting.length, 0);
      const sent = pattern(200_000);
      writeAll(client.stream, sent);
      writeAll(server.stream, sent);
      await bench.until(() => server.seen.received + client.seen.received === 400_000, 'the stream runs on');
      client.stream.end();
      server.stream.end();
      await bench.until(() => !!bench.clientClose && !!bench.serverClose, 'the connection closes itself');
      assert.deepEqual([client.seen.outcome, server.seen.outcome], [{ kind: 'ended' }, { kind: 'ended' }]);
      for (const close of [bench.clientClose, bench.serverClose]) {
        assert.ok(close && ['closed', 'peer-closed'].includes(close.reason), JSON.stringify(close));
      }
    },
    { skip: single },
  );

  it(
    'requests that cross a drain are served, refused or lost, but never forgotten',
    async (bench) => {
      const running = await bench.tunnel();
      bench.onRequest = (stream) => {
        stream.respond({ status: 200, fields: [] });
        stream.end();
        stream.grant(1000);
        return createRecorder();
      };
      const crossing = Array.from({ length: 5 }, () => {
        const side = bench.open();
        side.stream.grant(1000);
        side.stream.end();
        return side;
      });
      bench.server.drain();
      await bench.until(() => crossing.every(({ seen }) => seen.outcome !== undefined), 'all outcomes');
      for (const { seen } of crossing) {
        const { outcome } = seen;
        const unprocessed =
          (outcome?.kind === 'lost' && outcome.reason === 'peer-closed') ||
          (outcome?.kind === 'reset' && outcome.reason === 'refused');
        const served = outcome?.kind === 'ended' && seen.head?.status === 200;
        assert.ok(unprocessed || served, JSON.stringify(outcome));
      }
      assert.equal(running.client.seen.outcome, undefined, 'the one that ran runs on');
      running.client.stream.end();
      running.server.stream.end();
      await bench.until(() => !!bench.clientClose && !!bench.serverClose, 'the connection closes itself');
      assert.deepEqual(running.client.seen.outcome, { kind: 'ended' });
    },
    { skip: single },
  );

  it('a close out of a data event loses the streams and tells nothing more', async (bench) => {
    const { client, server } = await bench.tunnel();
    client.seen.onData = () => {
      bench.client.close();
    };
    for (let round = 0; round < 20; round++) writeAll(server.stream, pattern(3000, round + 1));
    await bench.until(() => !!bench.clientClose && !!bench.serverClose, 'both are told');
    assert.equal(client.seen.outcome?.kind === 'lost' && client.seen.outcome.reason, 'closed');
    assertLostByPeer(server.seen.outcome);
    assert.deepEqual(client.seen.order, ['response', 'data', 'closed']);
    await bench.quiet();
    assert.equal(client.seen.outcomes + server.seen.outcomes, 2);
  });

  it(
    'a draining client lets streams finish and opens no new ones',
    async (bench) => {
      const { client, server } = await bench.tunnel();
      bench.client.drain();
      assert.ok(!bench.client.usable);
      const late = bench.open();
      await bench.until(() => late.seen.outcome?.kind === 'lost', 'a late stream is told');
      writeAll(server.stream, pattern(50_000));
      await bench.until(() => client.seen.received === 50_000, 'the stream runs on');
      server.stream.end();
      client.stream.end();
      await bench.until(() => !!bench.clientClose && !!bench.serverClose, 'the connection closes itself');
      assert.deepEqual([client.seen.outcome, server.seen.outcome], [{ kind: 'ended' }, { kind: 'ended' }]);
    },
    { skip: single },
  );

  it(
    'the last bytes of a draining connection are not lost',
    async (bench) => {
      const { client, server } = await bench.tunnel();
      const sent = pattern(300_000);
      client.stream.end();
      await bench.until(() => server.seen.ended, 'the end');
      bench.server.drain();
      writeAll(server.stream, sent);
      server.stream.end();
      await bench.until(() => client.seen.outcome !== undefined, 'the outcome');
      assert.deepEqual(client.seen.outcome, { kind: 'ended' });
      assert.equal(client.seen.received, sent.length);
      assert.deepEqual(client.seen.content(), Buffer.from(sent));
    },
    { skip: !supports.halfClose && 'no half close' },
  );

  it('draining an idle connection closes it', async (bench) => {
    bench.client.drain();
    await bench.until(() => !!bench.clientClose && !!bench.serverClose, 'the connection closes itself');
    await bench.client.close();
  });

  it(
    'a ping tells the round trip, an aborted one and one on a dead connection reject',
    async (bench) => {
      let trip: number | undefined;
      bench.client.ping(new AbortController().signal).then((value) => {
        trip = value;
      });
      await bench.until(() => trip !== undefined, 'the answer');
      assert.ok(trip !== undefined && trip >= 0 && trip < 5000);
      await assert.rejects(bench.client.ping(AbortSignal.abort()));
      const closing = bench.client.close();
      await bench.until(() => bench.clientClose !== undefined, 'the close');
      await closing;
      await assert.rejects(bench.client.ping(new AbortController().signal));
    },
    { skip: !supports.ping && 'no PING' },
  );

  it('what a stream did is gone when it is over', async (bench) => {
    const rounds = supports.multiplex ? 20 : 1;
    for (let round = 0; round < rounds; round++) {
      const { client, server } = await bench.tunnel();
      if (round % 3 === 0) client.stream.reset('cancelled');
      else if (round % 3 === 1) server.stream.reset('connect-error');
      else {
        client.stream.end();
        server.stream.end();
      }
      await bench.until(() => !!client.seen.outcome && !!server.seen.outcome, 'the outcomes');
      assert.equal(client.stream.buffered, 0);
    }
    await bench.until(() => bench.client.streams === 0 && bench.server.streams === 0, 'no stream is left');
  });
}
