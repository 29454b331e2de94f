import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamOutcome } from '../../src/http/tunnel-stream.js';
import type {
  StreamContent,
  TransportConnection,
  TransportEvents,
  TransportStream,
} from '../../src/upstream/transport.js';
import { head } from './recording-session.js';
import { type PeerStream, peerStream, type TransportPeer } from './transport-peer.js';

/** A transport connection under test with its peer. */
export interface TransportPair {
  readonly connection: TransportConnection;
  readonly peer: TransportPeer;
  close(): Promise<void>;
}

export interface TransportImplementation {
  readonly name: string;
  readonly nativeDatagrams: boolean;
  createPair(options: { readonly maxStreams?: number }): Promise<TransportPair>;
}

interface Told {
  readonly type: keyof TransportEvents;
  readonly handle: number | undefined;
  readonly detail?: unknown;
}

interface Bench extends TransportPair {
  readonly told: Told[];
  /** Handles of streams that were told open. */
  readonly opened: number[];
  /** Of one stream. */
  of(stream: TransportStream): Told[];
  open(): {
    readonly stream: TransportStream;
    readonly content: string[];
    readonly registered: StreamContent;
  };
  peerStream(index: number): Promise<PeerStream>;
  until(condition: () => boolean, what: string): Promise<void>;
}

const options = { timeout: 120_000 };

function recordingEvents(connection: TransportConnection, told: Told[], opened: number[]): TransportEvents {
  const note = (
    from: TransportConnection,
    type: keyof TransportEvents,
    handle?: number,
    detail?: unknown,
  ): void => {
    assert.equal(from, connection, 'each event names its connection');
    assert.ok(!told.some((one) => one.type === 'closed'), 'nothing follows the end');
    told.push({ type, handle, detail });
  };
  return {
    // An engine may give even a stream that has leave its id a little later.
    opened(from, handle) {
      assert.equal(from, connection);
      opened.push(handle);
    },
    informational: (from, handle, { status }) => note(from, 'informational', handle, status),
    response: (from, handle, { status }) => note(from, 'response', handle, status),
    datagram: (from, handle, bytes, start, end) =>
      note(from, 'datagram', handle, Buffer.from(bytes.subarray(start, end)).toString()),
    streamClosed: (from, handle, outcome) => note(from, 'streamClosed', handle, outcome),
    draining: (from) => note(from, 'draining'),
    settings: (from) => note(from, 'settings'),
    closed: (from, close) => note(from, 'closed', undefined, close),
  };
}

async function createBench(pair: TransportPair): Promise<Bench> {
  const told: Told[] = [];
  const opened: number[] = [];
  const { connection, peer } = pair;
  connection.listen(recordingEvents(connection, told, opened));
  const bench: Bench = {
    ...pair,
    told,
    opened,
    of: (stream) => told.filter(({ handle }) => handle === stream.handle),
    open() {
      const content: string[] = [];
      const before = told.length;
      const stream = connection.openStream(head);
      assert.equal(told.length, before, 'nothing is told before the call returns');
      const registered: StreamContent = {
        data: (bytes, start, end) => void content.push(Buffer.from(bytes.subarray(start, end)).toString()),
        end: () => void content.push('end'),
        drain: () => void content.push('drain'),
      };
      void connection.register(stream, registered);
      return { stream, content, registered };
    },
    async peerStream(index) {
      await bench.until(() => peer.streams.length > index, `request ${index} arrives`);
      return peerStream(peer, index);
    },
    async until(condition, what) {
      const deadline = performance.now() + 60_000;
      while (!condition()) {
        if (performance.now() > deadline) assert.fail(`waited in vain: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
  };
  return bench;
}

function outcomeOf(told: readonly Told[]): StreamOutcome {
  const closes = told.filter(({ type }) => type === 'streamClosed');
  assert.equal(closes.length, 1, 'one outcome');
  assert.equal(told.at(-1)?.type, 'streamClosed', 'nothing follows the outcome');
  return closes[0]?.detail as StreamOutcome;
}

/** What every transport must do that an owner is to be given; the fake of the tests and the real ones alike. */
export function transportConformance(implementation: TransportImplementation): void {
  const define = (title: string, body: (bench: Bench) => Promise<void>, maxStreams?: number): void => {
    test(`${title} (${implementation.name})`, options, async () => {
      const pair = await implementation.createPair(maxStreams === undefined ? {} : { maxStreams });
      try {
        await body(await createBench(pair));
      } finally {
        await pair.close();
      }
    });
  };

  define('O3: a request is sent and answered, each event tagged with its stream', async (bench) => {
    const a = bench.open();
    const b = bench.open();
    assert.notEqual(a.stream.handle, b.stream.handle);
    const first = await bench.peerStream(0);
    const second = await bench.peerStream(1);
    await bench.until(() => b.stream.tunnel.id >= 0, 'its id');
    assert.ok(a.stream.tunnel.id >= 0 && b.stream.tunnel.id > a.stream.tunnel.id);
    assert.deepEqual([first.request.kind, second.request.kind], ['extended', 'extended']);
    second.respond(403);
    first.inform(103);
    first.respond(200);
    await bench.until(() => bench.of(a.stream).length === 2 && bench.of(b.stream).length > 0, 'the answers');
    assert.deepEqual(
      bench.of(a.stream).map(({ type, detail }) => [type, detail]),
      [
        ['informational', 103],
        ['response', 200],
      ],
    );
    assert.deepEqual([bench.of(b.stream)[0]?.type, bench.of(b.stream)[0]?.detail], ['response', 403]);
  });

  define('O4: content goes to whoever is registered, within its credit, both ways', async (bench) => {
    const { stream, content } = bench.open();
    const peer = await bench.peerStream(0);
    peer.respond();
    peer.write('hello');
    await bench.until(() => bench.of(stream).length === 1, 'the response');
    assert.deepEqual(content, [], 'no credit, no content');
    stream.tunnel.grant(1_000);
    await bench.until(() => content.join('') === 'hello', 'the content');
    const bytes = Buffer.from('upwards');
    stream.tunnel.write(bytes, 0, bytes.length);
    await bench.until(() => peer.bytes.toString() === 'upwards', 'the content of this side');
    peer.end();
    await bench.until(() => content.at(-1) === 'end', 'the end');
    stream.tunnel.end();
    await bench.until(() => peer.ended && bench.of(stream).length === 2, 'both ends');
    assert.deepEqual(outcomeOf(bench.of(stream)), { kind: 'ended' });
  });

  define('O4: a slow peer holds the writer up, and lets it go on', async (bench) => {
    const { stream, content } = bench.open();
    const peer = await bench.peerStream(0);
    peer.respond();
    peer.stalled = true;
    await bench.until(() => bench.of(stream).length === 1, 'the response');
    const chunk = new Uint8Array(64 * 1024);
    let written = 0;
    for (let round = 0; round < 200 && stream.tunnel.write(chunk, 0, chunk.length); round++) written += 1;
    assert.ok(written < 200, 'the writer is told to stop');
    peer.resume();
    await bench.until(() => content.includes('drain'), 'the writer is told to go on');
  });

  define('O7: the peer resets one stream, with its code, and the others go on', async (bench) => {
    const a = bench.open();
    const b = bench.open();
    const first = await bench.peerStream(0);
    const second = await bench.peerStream(1);
    first.respond();
    second.respond();
    await bench.until(() => bench.told.length === 2, 'the responses');
    first.reset('connect-error');
    await bench.until(() => bench.of(a.stream).length === 2, 'the reset');
    const outcome = outcomeOf(bench.of(a.stream));
    assert.ok(outcome.kind === 'reset' && outcome.by === 'peer' && outcome.reason === 'connect-error');
    assert.notEqual(outcome.code, undefined);
    b.stream.tunnel.grant(100);
    second.write('alive');
    await bench.until(() => b.content.join('') === 'alive', 'the other stream');
    assert.equal(bench.connection.usable, true);
  });

  define('O8: a cancelled stream is over at both ends; cancelling again does nothing', async (bench) => {
    const { stream, content } = bench.open();
    const peer = await bench.peerStream(0);
    peer.respond();
    await bench.until(() => bench.of(stream).length === 1, 'the response');
    bench.connection.unregister(stream);
    bench.connection.cancel(stream);
    bench.connection.cancel(stream);
    await bench.until(() => peer.over && bench.of(stream).length === 2, 'the end at both ends');
    bench.connection.cancel(stream);
    const outcome = outcomeOf(bench.of(stream));
    assert.ok(outcome.kind === 'reset' && outcome.by === 'local' && outcome.reason === 'cancelled');
    assert.deepEqual(content, []);
  });

  define('O8: after unregistering, content goes nowhere and does no harm', async (bench) => {
    const { stream, content } = bench.open();
    const peer = await bench.peerStream(0);
    peer.respond();
    stream.tunnel.grant(1_000);
    await bench.until(() => bench.of(stream).length === 1, 'the response');
    bench.connection.unregister(stream);
    peer.write('nobody listens');
    peer.end();
    const other = bench.open();
    (await bench.peerStream(1)).respond();
    await bench.until(() => bench.of(other.stream).length === 1, 'another answer');
    assert.deepEqual(content, []);
  });

  define(
    'O10: a connection that the peer closes is lost to all its streams, then told once',
    async (bench) => {
      const { stream } = bench.open();
      (await bench.peerStream(0)).respond();
      await bench.until(() => bench.of(stream).length === 1, 'the response');
      bench.peer.close();
      await bench.until(() => bench.told.at(-1)?.type === 'closed', 'the end of the connection');
      const outcome = outcomeOf(bench.of(stream));
      assert.equal(outcome.kind, 'lost');
      assert.equal(bench.connection.usable, false);
      await bench.connection.close();
    },
  );

  define('O14: closing ends everything, and closing again resolves', async (bench) => {
    const { stream } = bench.open();
    (await bench.peerStream(0)).respond();
    await bench.until(() => bench.of(stream).length === 1, 'the response');
    const first = bench.connection.close();
    await Promise.all([first, bench.connection.close()]);
    await bench.until(() => bench.told.at(-1)?.type === 'closed', 'the end of the connection');
    assert.equal(outcomeOf(bench.of(stream)).kind, 'lost');
    assert.equal(bench.connection.usable, false);
    await bench.connection.close();
  });

  define('O15: GOAWAY is told, streams run on, and the end comes in order', async (bench) => {
    const { stream, content } = bench.open();
    const peer = await bench.peerStream(0);
    peer.respond();
    await bench.until(() => bench.of(stream).length === 1, 'the response');
    bench.peer.drain();
    await bench.until(() => bench.told.some(({ type }) => type === 'draining'), 'the drain');
    assert.equal(bench.connection.usable, false);
    stream.tunnel.grant(1_000);
    peer.write('last words');
    peer.end();
    await bench.until(() => content.at(-1) === 'end', 'what was under way');
    stream.tunnel.end();
    await bench.until(() => bench.of(stream).at(-1)?.type === 'streamClosed', 'the outcome');
    assert.deepEqual(outcomeOf(bench.of(stream)), { kind: 'ended' });
    assert.equal(content.join(''), 'last wordsend');
  });

  define('O15: a drain that came before anybody listened is told to the listener', async (bench) => {
    bench.peer.drain();
    await bench.until(() => !bench.connection.usable, 'the drain');
    const late: Told[] = [];
    bench.connection.listen(recordingEvents(bench.connection, late, []));
    assert.equal(late[0]?.type, 'draining');
  });

  define(
    'O12: a stream over the limit of the peer waits, and is told open when there is room',
    async (bench) => {
      const a = bench.open();
      await bench.peerStream(0);
      await bench.until(() => a.stream.tunnel.id >= 0, 'the first is open');
      const b = bench.open();
      const c = bench.open();
      assert.deepEqual([b.stream.tunnel.id, c.stream.tunnel.id], [-1, -1]);
      bench.connection.cancel(c.stream);
      await bench.until(() => bench.of(c.stream).length === 1, 'the one that was given up');
      bench.connection.cancel(a.stream);
      await bench.until(() => bench.opened.includes(b.stream.handle), 'the one that waited');
      assert.ok(b.stream.tunnel.id >= 0);
      assert.deepEqual(bench.of(b.stream), []);
      (await bench.peerStream(1)).respond();
      await bench.until(() => bench.of(b.stream).length === 1, 'its response');
      assert.deepEqual([...new Set(bench.opened)], bench.opened, 'each is told open once');
      const outcome = outcomeOf(bench.of(c.stream));
      assert.ok(outcome.kind === 'reset' && outcome.by === 'local');
    },
    1,
  );

  define('O13: a round trip and what else it knows', async (bench) => {
    const roundTrip = await bench.connection.ping(AbortSignal.timeout(60_000));
    assert.ok(roundTrip >= 0 && roundTrip < 5_000);
    await assert.rejects(bench.connection.ping(AbortSignal.abort()));
    await bench.connection.statistics();
    await bench.connection.close();
    await assert.rejects(bench.connection.ping(new AbortController().signal));
  });

  if (!implementation.nativeDatagrams) return;
  define('O6: HTTP datagrams name their stream, both ways', async (bench) => {
    const a = bench.open();
    const b = bench.open();
    const first = await bench.peerStream(0);
    const second = await bench.peerStream(1);
    first.respond();
    second.respond();
    await bench.until(() => bench.told.length === 2, 'the responses');
    first.datagram('for a');
    second.datagram('for b');
    await bench.until(() => bench.told.length === 4, 'the datagrams');
    assert.equal(bench.of(a.stream)[1]?.detail, 'for a');
    assert.equal(bench.of(b.stream)[1]?.detail, 'for b');
    const bytes = Buffer.from('up');
    assert.equal(b.stream.tunnel.sendDatagram(new Uint8Array(0), bytes, 0, bytes.length), 'sent');
    await bench.until(() => second.datagrams.length === 1, 'the datagram of this side');
    assert.equal(first.datagrams.length, 0);
  });
}
