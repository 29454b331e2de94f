import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { systemClock } from '../../src/clock/system-clock.js';
import { dialOwner } from '../../src/upstream/dial-owner.js';
import { createHttpDriver } from '../../src/upstream/http-driver.js';
import type { Owner, OwnerOptions } from '../../src/upstream/owner.js';
import { failureKind } from '../../src/upstream/upstream-error.js';
import { code32, frameServer, frameType, settingsPayload } from '../http/h2/frame-peer.js';
import { certificate } from '../http/tcp/peers.js';
import { type HopConnection, type HopOptions, openHop, type RealHop, until } from './real-hop.js';
import { head, type RecordingSession, recordingSession } from './recording-session.js';
import { type PeerStream, peerStream } from './transport-peer.js';

const options = { timeout: 120_000 };
const never = new AbortController().signal;
const versions = ['h3', 'h2'] as const;
type Version = (typeof versions)[number];

interface Bench {
  readonly hop: RealHop;
  readonly owner: Owner;
  readonly peer: HopConnection;
  acquire(session?: RecordingSession): Promise<{ session: RecordingSession; peer: PeerStream }>;
}

async function withOwner(
  version: Version,
  body: (bench: Bench) => Promise<void>,
  given: Partial<OwnerOptions> & { readonly hop?: HopOptions } = {},
): Promise<void> {
  const hop = await openHop({ versions: [version], ...given.hop });
  try {
    const result = await dialOwner(
      hop.driver,
      hop.target(version),
      { clock: systemClock, tag: 'key', ...given },
      never,
    );
    assert.ok(result.kind === 'up');
    const { owner } = result;
    await until(() => hop.connections.length === 1, 'the hop sees the connection');
    const [peer] = hop.connections;
    assert.ok(peer);
    await body({
      hop,
      owner,
      peer,
      async acquire(session = recordingSession()) {
        const index = peer.streams.length;
        await owner.acquireStream(head, session);
        await until(() => peer.streams.length > index, 'the request arrives');
        return { session, peer: peerStream(peer, index) };
      },
    });
    await owner.stop();
  } finally {
    await hop.close();
  }
}

function rejects(promise: Promise<unknown>, kind: string): Promise<void> {
  return assert.rejects(promise, (error) => {
    assert.equal(failureKind(error), kind);
    return true;
  });
}

/** An owner of an HTTP/2 connection to a server that speaks in frames. */
async function withFrames(t: TestContext, settings: readonly (readonly [number, number])[]) {
  const server = await frameServer(t, settingsPayload([[8, 1], ...settings]));
  const driver = createHttpDriver({
    clock: systemClock,
    engine: () => {
      throw new Error('no engine here');
    },
    resolve: async () => [],
  });
  const { address, port } = server.address;
  const trust = { mode: 'ca', ca: certificate.cert } as const;
  const result = await dialOwner(
    driver,
    { host: address, port, version: 'h2', tls: { trust, serverName: 'localhost' } },
    { clock: systemClock, tag: 'key' },
    never,
  );
  assert.ok(result.kind === 'up');
  t.after(() => result.owner.stop());
  return { owner: result.owner, peer: await server.peer };
}

for (const version of versions) {
  describe(`an owner on ${version} over loopback`, { ...options, timeout: 600_000 }, () => {
    test('O1: a dial gives the owner, and the hop has one connection, which stop ends', options, async () => {
      await withOwner(version, async ({ owner, peer }) => {
        assert.deepEqual([owner.fingerprint, owner.version, owner.state], ['key', version, 'open']);
        await owner.stop();
        const close = await peer.server.closed;
        assert.equal(close.reason, 'peer-closed');
      });
    });

    test('O1: a dial that is refused, or aborted, tells its reason', options, async () => {
      const hop = await openHop({ versions: [version] });
      const target = hop.target(version, { tls: { trust: { mode: 'system' } } });
      const refused = await dialOwner(hop.driver, target, { clock: systemClock, tag: 'a' }, never);
      assert.ok(refused.kind === 'failed' && refused.tag === 'a');
      assert.equal((refused.error as { code?: string }).code, 'ERR_CERTIFICATE_UNKNOWN');
      const abort = new AbortController();
      const dialling = dialOwner(
        hop.driver,
        hop.target(version),
        { clock: systemClock, tag: 'b' },
        abort.signal,
      );
      abort.abort();
      const aborted = await dialling;
      assert.ok(aborted.kind === 'failed' && failureKind(aborted.error) === 'aborted');
      await hop.close();
    });

    test('O4: a stream is acquired and carries content both ways', options, async () => {
      await withOwner(version, async ({ acquire }) => {
        const { session, peer } = await acquire();
        const stream = session.acquired?.stream;
        assert.ok(stream && stream.id >= 0);
        peer.respond();
        peer.write('down');
        stream.write(Buffer.from('up'), 0, 2);
        await until(() => session.log.length === 2 && peer.bytes.length === 2, 'the content');
        assert.deepEqual(session.log, ['response 200', 'data down']);
      });
    });

    test('O5: an answer that comes at once is told after the stream was given', options, async () => {
      await withOwner(version, async ({ owner, hop }) => {
        hop.onRequest = (stream) => {
          stream.respond({ status: 200, fields: [] });
          const text = Buffer.from('first');
          stream.write(text, 0, text.length);
          const none = () => undefined;
          return { data: none, end: none, datagram: none, drain: none, closed: none };
        };
        for (let round = 0; round < 20; round++) {
          const session = recordingSession();
          const acquiring = owner.acquireStream(head, session);
          assert.ok(session.acquired, 'the session has its stream before anything can be told');
          await acquiring;
          await until(() => session.log.length === 2, 'the answer');
          assert.deepEqual(session.log, ['response 200', 'data first']);
        }
      });
    });

    test('O6, O7: events reach their own session, and a reset comes with its code', options, async () => {
      await withOwner(version, async ({ owner, acquire }) => {
        const a = await acquire();
        const b = await acquire();
        a.peer.respond(200);
        b.peer.respond(200);
        b.peer.write('for b');
        a.peer.reset('connect-error');
        await until(() => a.session.ends.length === 1 && b.session.log.length === 2, 'the events');
        assert.deepEqual(b.session.log, ['response 200', 'data for b']);
        const [end] = a.session.ends;
        assert.ok(end?.kind === 'reset');
        assert.equal(end.code, version === 'h3' ? 0x10f : 0xa);
        assert.equal(owner.streams, 1);
      });
    });

    test('O8: releasing cancels the stream at the hop', options, async () => {
      await withOwner(version, async ({ owner, acquire }) => {
        const { session, peer } = await acquire();
        owner.releaseStream(session.acquired?.id ?? -1);
        session.acquired?.release();
        await until(() => peer.over, 'the stream ends at the hop');
        assert.deepEqual([owner.streams, session.ends], [0, []]);
      });
    });

    test('O9: a session that is gone leaves no stream at the hop', options, async () => {
      await withOwner(version, async ({ owner, acquire }) => {
        const gone = recordingSession();
        const first = await acquire(gone);
        const second = await acquire(gone);
        const other = await acquire();
        gone.vanish();
        await until(() => first.peer.over && second.peer.over, 'the streams end at the hop');
        assert.deepEqual([owner.streams, other.peer.over], [1, false]);
      });
    });

    test('O10: a connection that the hop closes is told to every session once', options, async () => {
      await withOwner(version, async ({ owner, acquire, peer }) => {
        const all = await Promise.all([acquire(), acquire(), acquire()]);
        peer.close();
        const failure = await owner.stopped;
        assert.ok(failure.kind === 'peer_closed');
        for (const { session } of all) {
          assert.equal(session.ends.length, 1);
          assert.ok(session.ends[0]?.kind === 'lost' && session.ends[0].failure.kind === 'peer_closed');
        }
        await rejects(owner.acquireStream(head, recordingSession()), 'stopped');
      });
    });

    test('O11: an unused connection is closed', options, async () => {
      await withOwner(
        version,
        async ({ owner, acquire, peer }) => {
          const { session } = await acquire();
          await new Promise((resolve) => setTimeout(resolve, 3_500));
          assert.equal(owner.state, 'open');
          session.acquired?.release();
          assert.equal((await owner.stopped).kind, 'stopped');
          assert.equal((await peer.server.closed).reason, 'peer-closed');
        },
        { idleTimeout: 3_000 },
      );
    });

    test('O12: at the limit of the hop an acquire waits or fails, and is served later', options, async () => {
      await withOwner(
        version,
        async ({ owner, acquire }) => {
          const { session } = await acquire();
          await acquire();
          const third = owner.acquireStream(head, recordingSession(), { timeout: 400 });
          const refused = rejects(third, version === 'h3' ? 'timeout' : 'stream_limit');
          await until(() => !owner.hasRoom, 'the limit is noticed');
          assert.equal(owner.capacity, 2);
          await refused;
          session.acquired?.release();
          // The hop's leave for another one takes a round trip.
          await until(() => owner.hasRoom, 'room');
          const { id } = await owner.acquireStream(head, recordingSession(), { timeout: 5_000 });
          assert.ok(id >= 0);
        },
        { hop: { versions: [version], maxStreams: 2 } },
      );
    });

    test('O13: info tells what the connection knows', options, async () => {
      await withOwner(version, async ({ owner, acquire }) => {
        const { session, peer } = await acquire();
        peer.respond();
        peer.write('x'.repeat(10_000));
        await until(() => session.log.join('').length > 10_000, 'the content');
        const info = await owner.info();
        assert.deepEqual([info.transport, info.streams, info.fingerprint], [version, 1, 'key']);
        assert.ok((info.bytesReceived ?? 0) >= 10_000);
        assert.ok(info.age > 0 && info.connection > 0);
        if (version === 'h3') assert.ok((info.rtt ?? 0) > 0);
        assert.equal(info.maxStreams, version === 'h3' ? 'dynamic' : 1_024);
      });
    });

    test('O14: stop tells the sessions and ends the connection', options, async () => {
      await withOwner(version, async ({ owner, acquire, peer }) => {
        const { session } = await acquire();
        await Promise.all([owner.stop(), owner.stop()]);
        assert.ok(session.ends[0]?.kind === 'lost' && session.ends[0].failure.kind === 'stopped');
        await peer.server.closed;
      });
    });

    test('O15: after GOAWAY what runs is finished, then the owner stops', options, async () => {
      await withOwner(version, async ({ owner, acquire, peer: hop }) => {
        const { session, peer } = await acquire();
        peer.respond();
        hop.drain();
        await until(() => owner.state === 'draining', 'the drain');
        await rejects(owner.acquireStream(head, recordingSession()), 'draining');
        peer.write('last words');
        peer.end();
        await until(() => session.log.includes('end'), 'the last words');
        session.acquired?.stream.end();
        await owner.stopped;
        assert.deepEqual(session.log, ['response 200', 'data last words', 'end', 'ended']);
      });
    });
  });
}

describe('an owner on HTTP/2 frames', { ...options, timeout: 600_000 }, () => {
  test('O12: the capacity is what SETTINGS say, and 100 where they say nothing or 0', options, async (t) => {
    const maxOf = async (settings: readonly (readonly [number, number])[]) =>
      (await (await withFrames(t, settings)).owner.info()).maxStreams;
    assert.equal(await maxOf([]), 100);
    assert.equal(await maxOf([[3, 0]]), 100);
    assert.equal(await maxOf([[3, 7]]), 7);
    assert.equal(await maxOf([[3, 4_294_967_295]]), 100);
  });

  test('O12: a later SETTINGS frame changes it, and 0 stops new streams', options, async (t) => {
    const { owner, peer } = await withFrames(t, [[3, 1]]);
    await owner.acquireStream(head, recordingSession());
    assert.equal(owner.hasRoom, false);
    peer.send(frameType.settings, 0, 0, settingsPayload([[3, 2]]));
    await until(() => owner.hasRoom, 'more room');
    await owner.acquireStream(head, recordingSession());
    peer.send(frameType.settings, 0, 0, settingsPayload([[3, 0]]));
    await until(() => owner.capacity === 0, 'no more streams');
    await rejects(owner.acquireStream(head, recordingSession()), 'stream_limit');
  });

  test('O12: REFUSED_STREAM is a stream_limit', options, async (t) => {
    const { owner, peer } = await withFrames(t, []);
    const session = recordingSession();
    const { id } = await owner.acquireStream(head, session);
    await peer.waitFor(({ type, stream }) => type === frameType.headers && stream === id);
    peer.send(frameType.rstStream, 0, id, Buffer.from([0, 0, 0, 7]));
    await until(() => session.ends.length === 1, 'the refusal');
    const [end] = session.ends;
    assert.ok(end?.kind === 'reset' && end.failure?.kind === 'stream_limit');
    assert.equal(owner.streams, 0);
  });

  test('O8: a release is RST_STREAM with CANCEL', options, async (t) => {
    const { owner, peer } = await withFrames(t, []);
    const { id } = await owner.acquireStream(head, recordingSession());
    await peer.waitFor(({ type, stream }) => type === frameType.headers && stream === id);
    owner.releaseStream(id);
    const frame = await peer.waitFor(({ type, stream }) => type === frameType.rstStream && stream === id);
    assert.equal(code32(frame.payload), 0x8);
  });

  test('O15: GOAWAY with a code is a loss', options, async (t) => {
    const { owner, peer } = await withFrames(t, []);
    const session = recordingSession();
    const { id } = await owner.acquireStream(head, session);
    await peer.waitFor(({ type, stream }) => type === frameType.headers && stream === id);
    peer.send(frameType.goaway, 0, 0, Buffer.from([0, 0, 0, id, 0, 0, 0, 0xb]));
    const failure = await owner.stopped;
    assert.ok(failure.kind === 'peer_closed' && failure.code === 0xb);
    assert.equal(session.ends.length, 1);
    assert.equal(session.ends[0]?.kind, 'lost');
  });

  test('O10: a connection that is reset on the wire is a loss', options, async () => {
    await withOwner('h2', async ({ owner, acquire, peer }) => {
      const { session } = await acquire();
      peer.reset();
      const failure = await owner.stopped;
      assert.ok(failure.kind === 'peer_closed' && failure.reason === 'reset');
      assert.equal(session.ends.length, 1);
    });
  });
});
