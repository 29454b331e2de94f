import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createVirtualClock, type VirtualClock } from '../../src/clock/virtual-clock.js';
import { adoptConnection } from '../../src/upstream/adopt-connection.js';
import { dialOwner } from '../../src/upstream/dial-owner.js';
import type { Owner, OwnerOptions } from '../../src/upstream/owner.js';
import { failureKind, UpstreamError } from '../../src/upstream/upstream-error.js';
import { createFakeDriver, latency, target, transportAt } from './fake-driver.js';
import { createFakeTransport, type FakeConditions, type FakeTransport } from './fake-transport.js';
import { head, type RecordingSession, recordingSession } from './recording-session.js';
import { peerStream } from './transport-peer.js';

const options = { timeout: 120_000 };
const never = new AbortController().signal;

interface Adopted {
  readonly clock: VirtualClock;
  readonly fake: FakeTransport;
  readonly owner: Owner;
}

function adopt(conditions: Partial<FakeConditions> = {}, given: Partial<OwnerOptions> = {}): Adopted {
  const clock = createVirtualClock();
  const fake = createFakeTransport(1, conditions);
  return { clock, fake, owner: adoptConnection(fake.connection, { clock, ...given }) };
}

async function acquired(owner: Owner, session: RecordingSession = recordingSession()) {
  await owner.acquireStream(head, session);
  return session;
}

const rejects = (promise: Promise<unknown>, kind: string): Promise<void> =>
  assert.rejects(promise, (error) => {
    assert.equal(failureKind(error), kind);
    return true;
  });

describe('an owner on the fake transport', { ...options, timeout: 600_000 }, () => {
  test('O1: a dial gives one result with the tag, which is the fingerprint of the owner', async () => {
    const clock = createVirtualClock();
    const driver = createFakeDriver(clock);
    const dialling = dialOwner(driver, target(), { clock, tag: 'the tag' }, never);
    await clock.advanceAsync(latency);
    const result = await dialling;
    assert.ok(result.kind === 'up');
    assert.equal(result.tag, 'the tag');
    assert.equal(result.owner.fingerprint, 'the tag');
    assert.equal(result.owner.connection, transportAt(driver, 0).connection);
    await result.owner.stop();
    assert.equal(clock.pending, 0);
  });

  test('O1: a dial that fails, takes too long or is aborted gives its reason and leaves nothing behind', async () => {
    const clock = createVirtualClock();
    const refused = new Error('refused');
    const driver = createFakeDriver(clock, () => ({ kind: 'fail', error: refused }));
    const failing = dialOwner(driver, target(), { clock, tag: 'a' }, never);
    await clock.advanceAsync(latency);
    assert.deepEqual(await failing, { kind: 'failed', tag: 'a', error: refused });

    driver.plan = () => ({ kind: 'never', deaf: true });
    const slow = dialOwner(driver, target(), { clock, tag: 'b', dialTimeout: 3_000 }, never);
    await clock.advanceAsync(3_000);
    const late = await slow;
    assert.ok(late.kind === 'failed' && failureKind(late.error) === 'timeout');
    assert.equal(driver.dials[1]?.aborted, true);

    driver.plan = () => ({ kind: 'never' });
    const abort = new AbortController();
    const aborted = dialOwner(driver, target(), { clock, tag: 'c' }, abort.signal);
    await clock.advanceAsync(1);
    abort.abort();
    const result = await aborted;
    assert.ok(result.kind === 'failed' && failureKind(result.error) === 'aborted');
    assert.equal(driver.dials[2]?.aborted, true);
    assert.equal(clock.pending, 0);
  });

  test('O1: a connection that comes up after its dial was given up is closed', async () => {
    const clock = createVirtualClock();
    const fake = createFakeTransport(1);
    let up: () => void = () => undefined;
    const driver = {
      dial: () =>
        new Promise<typeof fake.connection>((resolve) => {
          up = () => resolve(fake.connection);
        }),
    };
    const abort = new AbortController();
    const dialling = dialOwner(driver, target(), { clock, tag: 'a' }, abort.signal);
    await clock.advanceAsync(1);
    abort.abort();
    assert.equal((await dialling).kind, 'failed');
    up();
    await clock.advanceAsync(1);
    assert.equal(fake.calls.close, 1);
    assert.equal(clock.pending, 0);
  });

  test('O3: whatever driver the caller gives is used', async () => {
    const clock = createVirtualClock();
    const fake = createFakeTransport(7, { version: 'h2' });
    const asked: unknown[] = [];
    const wanted = target({ version: 'h2', host: 'other.test' });
    const result = await dialOwner(
      {
        async dial(given) {
          asked.push(given);
          return fake.connection;
        },
      },
      wanted,
      { clock, tag: 'a' },
      never,
    );
    assert.ok(result.kind === 'up');
    assert.deepEqual(asked, [wanted]);
    assert.equal(result.owner.connection.id, 7);
  });

  test('O4: a stream is acquired with its id, and at capacity the next fails at once', async () => {
    const { owner, fake } = adopt({}, { maxStreams: 2 });
    const first = recordingSession();
    const acquiring = owner.acquireStream(head, first);
    assert.equal(fake.calls.open, 1, 'the request is sent before this returns');
    assert.equal(owner.streams, 1, 'the slot is reserved before this returns');
    const { id, connection, stream } = await acquiring;
    assert.equal(id, 0);
    assert.equal(connection, fake.connection);
    assert.equal(stream, first.acquired?.stream);
    assert.deepEqual(peerStream(fake.peer, 0).request, head);
    assert.equal((await owner.acquireStream(head, recordingSession())).id, 4);
    await rejects(owner.acquireStream(head, recordingSession()), 'stream_limit');
    owner.releaseStream(0);
    assert.equal((await owner.acquireStream(head, recordingSession())).id, 8);
  });

  test('O4: an error of the request is passed back as it is and frees the slot', async () => {
    const wrong = new Error('no such field');
    const { owner, fake } = adopt({ openThrows: wrong }, { maxStreams: 1 });
    await assert.rejects(owner.acquireStream(head, recordingSession()), wrong);
    assert.equal(owner.load, 0);
    fake.conditions.openThrows = undefined;
    await acquired(owner);
  });

  test('O4: when registering fails the stream is cancelled, the slot freed, the error passed back', async () => {
    const wrong = new Error('not registered');
    const { owner, fake } = adopt({ registerThrows: wrong }, { maxStreams: 1 });
    await assert.rejects(owner.acquireStream(head, recordingSession()), wrong);
    assert.deepEqual([fake.calls.cancel, owner.load], [1, 0]);
    fake.conditions.registerThrows = undefined;
    fake.conditions.registering = Promise.reject(wrong);
    const session = recordingSession();
    await assert.rejects(owner.acquireStream(head, session), wrong);
    assert.deepEqual([fake.calls.cancel, owner.load], [2, 0]);
    fake.conditions.registering = undefined;
    const refusing = Object.assign(recordingSession(), {
      attach() {
        throw wrong;
      },
    });
    await assert.rejects(owner.acquireStream(head, refusing), wrong);
    assert.deepEqual([fake.calls.cancel, owner.load], [3, 0]);
    assert.deepEqual([session.log, refusing.log], [[], []]);
    await acquired(owner);
  });

  test('O4: an acquire that takes too long ends after 30 s, and by its signal', async () => {
    const { owner, fake, clock } = adopt({ allowed: 0 });
    const waiting = rejects(owner.acquireStream(head, recordingSession()), 'timeout');
    const abort = new AbortController();
    const aborted = rejects(
      owner.acquireStream(head, recordingSession(), { signal: abort.signal }),
      'aborted',
    );
    abort.abort();
    await aborted;
    assert.equal(owner.streams, 1);
    await clock.advanceAsync(29_999);
    assert.equal(owner.streams, 1);
    await clock.advanceAsync(1);
    await waiting;
    assert.deepEqual([owner.streams, fake.calls.cancel], [0, 2]);
  });

  test('O4: content and backpressure go between the stream and the session', async () => {
    const { owner, fake } = adopt();
    const session = await acquired(owner);
    const peer = peerStream(fake.peer, 0);
    const stream = session.acquired?.stream;
    assert.ok(stream);
    assert.equal(stream.write(Buffer.from('up'), 0, 2), true);
    peer.stalled = true;
    assert.equal(stream.write(Buffer.from('ward'), 0, 4), false);
    peer.resume();
    peer.respond();
    peer.write('down');
    assert.equal(peer.bytes.toString(), 'upward');
    assert.deepEqual(session.log, ['drain', 'response 200', 'data down']);
  });

  test('O5: what comes before the registration is done reaches the session in order', async () => {
    let done: () => void = () => undefined;
    const registering = new Promise<void>((resolve) => {
      done = resolve;
    });
    const { owner, fake } = adopt({ registering });
    const session = recordingSession();
    const acquiring = owner.acquireStream(head, session);
    const peer = peerStream(fake.peer, 0);
    fake.events?.informational(fake.connection, 1_000, { status: 103, fields: [] });
    peer.datagram('early');
    peer.respond();
    peer.datagram('second');
    assert.deepEqual(session.log, []);
    done();
    await acquiring;
    assert.deepEqual(session.log, ['informational 103', 'datagram early', 'response 200', 'datagram second']);
    peer.datagram('third');
    peer.reset('cancelled');
    assert.deepEqual(session.log.slice(4), ['datagram third', 'reset 268']);
  });

  test('O5: a reset before the registration is done comes after all else, once', async () => {
    let done: () => void = () => undefined;
    const registering = new Promise<void>((resolve) => {
      done = resolve;
    });
    const { owner, fake } = adopt({ registering });
    const session = recordingSession();
    const acquiring = owner.acquireStream(head, session);
    const peer = peerStream(fake.peer, 0);
    peer.respond();
    peer.datagram('one');
    peer.reset('connect-error');
    done();
    await acquiring;
    assert.deepEqual(session.log, ['response 200', 'datagram one', 'reset 271']);
    assert.equal(owner.streams, 0);
  });

  test('O6: each event reaches the session of its stream and no other', async () => {
    const { owner, fake } = adopt();
    const a = await acquired(owner);
    const b = await acquired(owner);
    peerStream(fake.peer, 0).respond(200);
    peerStream(fake.peer, 1).respond(403);
    peerStream(fake.peer, 0).datagram('for a');
    peerStream(fake.peer, 1).datagram('for b');
    peerStream(fake.peer, 0).write('A');
    peerStream(fake.peer, 1).write('B');
    peerStream(fake.peer, 0).end();
    peerStream(fake.peer, 1).reset('cancelled');
    assert.deepEqual(a.log, ['response 200', 'datagram for a', 'data A', 'end']);
    assert.deepEqual(b.log, ['response 403', 'datagram for b', 'data B', 'reset 268']);
  });

  test('O6: events of unknown streams and of other connections are ignored', async () => {
    const { owner, fake } = adopt();
    const other = createFakeTransport(1, { version: 'h2' });
    const session = await acquired(owner);
    const { events } = fake;
    assert.ok(events);
    const ok = { status: 200, fields: [] };
    const outcome = { kind: 'ended' } as const;
    events.response(fake.connection, 77, ok);
    events.datagram(fake.connection, 77, Buffer.from('x'), 0, 1);
    events.streamClosed(fake.connection, 77, outcome);
    events.opened(fake.connection, 77);
    events.response(other.connection, 1_000, ok);
    events.informational(other.connection, 1_000, ok);
    events.datagram(other.connection, 1_000, Buffer.from('x'), 0, 1);
    events.streamClosed(other.connection, 1_000, outcome);
    events.draining(other.connection);
    events.closed(other.connection, { reason: 'reset', code: undefined, detail: '' });
    assert.deepEqual([session.log, owner.state, owner.streams], [[], 'open', 1]);
  });

  test('O7: a reset is told with its code, then the slot is dropped and the stream cancelled', async () => {
    const { owner, fake } = adopt();
    const session = await acquired(owner);
    session.onClosed = () => assert.equal(owner.streams, 1, 'the session is told first');
    peerStream(fake.peer, 0).reset('connect-error');
    assert.deepEqual(session.ends, [
      { kind: 'reset', by: 'peer', reason: 'connect-error', code: 0x10f, version: 'h3' },
    ]);
    assert.deepEqual([fake.calls.unregister, fake.calls.cancel, owner.streams], [1, 1, 0]);
  });

  test('O8: releasing is idempotent, cancels, and starts the idle time with the last stream', async () => {
    const { owner, fake, clock } = adopt();
    const a = await acquired(owner);
    const b = await acquired(owner);
    owner.releaseStream(0);
    owner.releaseStream(0);
    a.acquired?.release();
    owner.releaseStream(99);
    assert.deepEqual([fake.calls.unregister, fake.calls.cancel, owner.streams], [1, 1, 1]);
    await clock.advanceAsync(100_000);
    assert.equal(owner.state, 'open', 'one stream is left');
    peerStream(fake.peer, 1).reset('cancelled');
    b.acquired?.release();
    owner.releaseStream(4);
    assert.deepEqual([fake.calls.unregister, fake.calls.cancel, owner.streams], [2, 2, 0]);
    assert.deepEqual(a.ends, [], 'after a release nothing is told');
    await clock.advanceAsync(30_000);
    assert.equal(owner.state, 'stopped');
  });

  test('O9: the slots of a session that is gone are released, all of them and no others', async () => {
    const { owner, fake } = adopt();
    const controller = new AbortController();
    const vanishing = recordingSession({ controller });
    await acquired(owner, vanishing);
    await acquired(owner);
    await acquired(owner, vanishing);
    vanishing.vanish();
    assert.deepEqual([owner.streams, fake.calls.cancel], [1, 2]);
    await rejects(owner.acquireStream(head, vanishing), 'session_gone');
    assert.deepEqual([owner.load, fake.calls.open], [1, 3], 'it took no slot and sent nothing');
  });

  test('O9: finding the slot of a gone session looks at no other session', async () => {
    const { owner } = adopt();
    let looks = 0;
    const watched = (): RecordingSession => {
      const session = recordingSession();
      return new Proxy(session, {
        get(inner, name, receiver) {
          looks += 1;
          return Reflect.get(inner, name, receiver);
        },
      });
    };
    for (let index = 0; index < 500; index++) await acquired(owner, watched());
    const vanishing = await acquired(owner);
    looks = 0;
    vanishing.vanish();
    assert.deepEqual([owner.streams, looks], [500, 0]);
  });

  test('O9: a session that goes while its stream waits to open takes no slot', async () => {
    const { owner } = adopt({ allowed: 0 });
    const session = recordingSession();
    const acquiring = rejects(owner.acquireStream(head, session), 'session_gone');
    session.vanish();
    await acquiring;
    assert.equal(owner.streams, 0);
  });

  test('O10: every session is told once of a lost connection, then the owner stops', async () => {
    for (const how of ['lose', 'close'] as const) {
      const stopped: string[] = [];
      const { owner, fake, clock } = adopt({}, { events: { stopped: (_, { kind }) => stopped.push(kind) } });
      const sessions = await Promise.all(Array.from({ length: 5 }, () => acquired(owner)));
      for (const session of sessions) {
        session.onClosed = () => {
          session.acquired?.release();
          owner.releaseStream(session.acquired?.id ?? 0);
        };
      }
      if (how === 'lose') fake.lose({ reason: 'reset' });
      else fake.peer.close();
      const reason = how === 'lose' ? 'reset' : 'peer-closed';
      for (const session of sessions) {
        assert.equal(session.ends.length, 1);
        const [end] = session.ends;
        assert.ok(end?.kind === 'lost');
        assert.equal(end.reason, reason);
        assert.equal(end.failure.kind, 'peer_closed');
      }
      assert.deepEqual([stopped, fake.calls.close], [['peer_closed'], 1]);
      assert.equal((await owner.stopped).kind, 'peer_closed');
      await owner.stop();
      assert.deepEqual([fake.calls.close, clock.pending], [1, 0]);
    }
  });

  test('O10: a connection that is told closed without a word of its streams ends them all', async () => {
    const { owner, fake } = adopt();
    const session = await acquired(owner);
    const waiting = adopt({ allowed: 0 });
    const acquiring = rejects(waiting.owner.acquireStream(head, recordingSession()), 'peer_closed');
    const close = { reason: 'protocol-error', code: 0x105, detail: 'H3_FRAME_UNEXPECTED' } as const;
    fake.events?.closed(fake.connection, close);
    waiting.fake.events?.closed(waiting.fake.connection, close);
    assert.deepEqual(session.ends, [
      {
        kind: 'lost',
        reason: 'protocol-error',
        detail: 'H3_FRAME_UNEXPECTED',
        failure: { kind: 'peer_closed', ...close },
      },
    ]);
    await acquiring;
  });

  test('O11: an unused connection is closed after 30 s', async () => {
    const { owner, fake, clock } = adopt();
    await clock.advanceAsync(29_999);
    assert.equal(owner.state, 'open');
    await clock.advanceAsync(1);
    assert.deepEqual([owner.state, fake.calls.close, clock.pending], ['stopped', 1, 0]);
  });

  test('O11: the idle time can be set, and is off with Infinity and 0', async () => {
    const short = adopt({}, { idleTimeout: 50 });
    await short.clock.advanceAsync(50);
    assert.equal(short.owner.state, 'stopped');
    for (const idleTimeout of [0, Number.POSITIVE_INFINITY]) {
      const { owner, clock } = adopt({}, { idleTimeout });
      await clock.advanceAsync(10_000_000);
      assert.equal(owner.state, 'open');
      assert.equal(clock.pending, 0);
    }
  });

  test('O11: a release starts the idle time anew, and the older one does nothing', async () => {
    const { owner, clock } = adopt({}, { idleTimeout: 100 });
    for (let round = 0; round < 4; round++) {
      await clock.advanceAsync(90);
      const { id } = await owner.acquireStream(head, recordingSession());
      await clock.advanceAsync(500);
      owner.releaseStream(id);
      assert.equal(clock.pending, 1);
    }
    await clock.advanceAsync(99);
    assert.equal(owner.state, 'open');
    await clock.advanceAsync(1);
    assert.equal(owner.state, 'stopped');
  });

  test('O11: only a successful acquire ends the idle time; while one is pending the expiry waits', async () => {
    const { owner, fake, clock } = adopt({ allowed: 0 }, { idleTimeout: 100, acquireTimeout: 1_000 });
    const failing = rejects(owner.acquireStream(head, recordingSession()), 'timeout');
    await clock.advanceAsync(999);
    assert.equal(owner.state, 'open', 'the expiry waits');
    await clock.advanceAsync(1);
    await failing;
    assert.equal(owner.state, 'stopped', 'and happens when the acquire has failed');

    const other = adopt({ allowed: 0 }, { idleTimeout: 100 });
    const acquiring = other.owner.acquireStream(head, recordingSession());
    await other.clock.advanceAsync(500);
    other.fake.allow(1);
    await acquiring;
    await other.clock.advanceAsync(5_000);
    assert.equal(other.owner.state, 'open');
    assert.equal(fake.calls.close, 1);

    const refused = adopt({ openThrows: new Error('no') }, { idleTimeout: 100 });
    await refused.clock.advanceAsync(60);
    await assert.rejects(refused.owner.acquireStream(head, recordingSession()));
    await refused.clock.advanceAsync(40);
    assert.equal(refused.owner.state, 'stopped', 'a failed acquire does not put it off');
  });

  test('O12: an explicit capacity is a positive integer or dynamic', async () => {
    for (const maxStreams of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '5' as never]) {
      assert.throws(
        () => adopt({}, { maxStreams }),
        (error) => failureKind(error) === 'invalid_option',
      );
      const clock = createVirtualClock();
      const driver = createFakeDriver(clock);
      const result = await dialOwner(driver, target(), { clock, tag: 'a', maxStreams }, never);
      assert.ok(result.kind === 'failed' && failureKind(result.error) === 'invalid_option');
      assert.deepEqual([driver.dials.length, clock.pending], [0, 0]);
    }
    assert.equal((await adopt({}, { maxStreams: 7 }).owner.info()).maxStreams, 7);
    assert.equal(
      (await adopt({ version: 'h2' }, { maxStreams: 'dynamic' }).owner.info()).maxStreams,
      'dynamic',
    );
  });

  test('O12: by default HTTP/3 is dynamic and HTTP/2 takes what the peer states', async () => {
    const maxOf = async (conditions: Partial<FakeConditions>) =>
      (await adopt(conditions).owner.info()).maxStreams;
    assert.equal(await maxOf({ version: 'h3' }), 'dynamic');
    assert.equal(await maxOf({ version: 'h3', capacity: () => 12 }), 'dynamic');
    assert.equal(await maxOf({ version: 'h2', capacity: () => 12 }), 12);
    assert.equal(await maxOf({ version: 'h2', capacity: () => 'unlimited' }), 'dynamic');
    for (const value of [undefined, 0, -3, 2.5, Number.NaN]) {
      assert.equal(await maxOf({ version: 'h2', capacity: () => value }), 100);
    }
    const unreadable = (): number => {
      throw new Error('not known');
    };
    assert.equal(await maxOf({ version: 'h2', capacity: unreadable }), 100);
  });

  test('O12: dynamic asks the transport each time', async () => {
    let room = 1;
    const { owner } = adopt({ capacity: () => room });
    await acquired(owner);
    await rejects(owner.acquireStream(head, recordingSession()), 'stream_limit');
    room = 2;
    await acquired(owner);
  });

  test('O12: a later SETTINGS frame changes the capacity, and a later 0 stops acquires', async () => {
    const { owner, fake } = adopt({ version: 'h2', settings: { maxStreams: 1 } });
    await acquired(owner);
    await rejects(owner.acquireStream(head, recordingSession()), 'stream_limit');
    fake.changeSettings({ maxStreams: 3 });
    await acquired(owner);
    fake.changeSettings({ maxStreams: 0 });
    owner.releaseStream(0);
    owner.releaseStream(4);
    await rejects(owner.acquireStream(head, recordingSession()), 'stream_limit');
    fake.changeSettings({ maxStreams: 'unlimited' });
    for (let index = 0; index < 200; index++) await acquired(owner);
  });

  test('O12: a stream that the peer refuses is a stream_limit', async () => {
    for (const version of ['h2', 'h3'] as const) {
      const { owner, fake } = adopt({ version });
      const session = await acquired(owner);
      peerStream(fake.peer, 0).reset('refused');
      const [end] = session.ends;
      assert.ok(end?.kind === 'reset' && end.failure?.kind === 'stream_limit' && end.failure.by === 'peer');
    }
    const waiting = adopt({ allowed: 0 });
    const acquiring = rejects(waiting.owner.acquireStream(head, recordingSession()), 'stream_limit');
    peerStream(waiting.fake.peer, 0).reset('refused');
    await acquiring;
  });

  test('O12: a stream waits for MAX_STREAMS within its limit and signal, and then gets its id', async () => {
    const { owner, fake, clock } = adopt({ allowed: 1 });
    await acquired(owner);
    assert.equal(owner.hasRoom, true);
    const second = owner.acquireStream(head, recordingSession());
    await clock.advanceAsync(100);
    assert.equal(owner.hasRoom, false, 'while one waits there is no room');
    assert.equal(owner.capacity, 1, 'so much is known now');
    const third = rejects(owner.acquireStream(head, recordingSession(), { timeout: 70 }), 'timeout');
    await clock.advanceAsync(70);
    await third;
    fake.allow(2);
    assert.equal((await second).id, 4);
    assert.equal(owner.hasRoom, true);
    owner.releaseStream(4);
    assert.equal(owner.streams, 1);
  });

  test('O13: info tells what is known', async () => {
    const { owner, clock, fake } = adopt(
      { version: 'h2', statistics: { rtt: 12, bytesSent: 5, bytesReceived: 6, datagramsSent: 1 } },
      { fingerprint: 'key', maxStreams: 9 },
    );
    await clock.advanceAsync(40);
    assert.deepEqual(await owner.info(), {
      fingerprint: 'key',
      transport: 'h2',
      connection: 1,
      remoteAddress: { address: '192.0.2.1', port: 443 },
      state: 'open',
      streams: 0,
      waitingToOpen: 0,
      maxStreams: 9,
      idle: 40,
      age: 40,
      datagramsRouted: 0,
      rtt: 12,
      bytesSent: 5,
      bytesReceived: 6,
      datagramsSent: 1,
    });
    await acquired(owner);
    fake.events?.datagram(fake.connection, 1_000, Buffer.from('x'), 0, 1);
    await clock.advanceAsync(10);
    const later = await owner.info();
    assert.deepEqual([later.idle, later.age, later.streams, later.datagramsRouted], [0, 50, 1, 1]);
  });

  test('O14: stop closes once, tells every session, and every later call is answered', async () => {
    const { owner, fake, clock } = adopt();
    const session = await acquired(owner);
    const first = owner.stop();
    const second = owner.stop();
    assert.equal(session.ends.length, 1);
    assert.ok(session.ends[0]?.kind === 'lost' && session.ends[0].failure.kind === 'stopped');
    await first;
    await second;
    await owner.stop();
    assert.equal(fake.calls.close, 1);
    await rejects(owner.acquireStream(head, recordingSession()), 'stopped');
    assert.throws(
      () => owner.reserve(),
      (error) => error instanceof UpstreamError && error.kind === 'stopped',
    );
    owner.releaseStream(0);
    owner.drain();
    assert.equal((await owner.info()).state, 'stopped');
    assert.equal(clock.pending, 0);
  });

  test('O14: a close that hangs holds stop for 5 s and no longer', async () => {
    const { owner, fake, clock } = adopt({ closeHangs: true });
    let done = false;
    void owner.stop().then(() => {
      done = true;
    });
    await clock.advanceAsync(4_999);
    assert.equal(done, false);
    await clock.advanceAsync(1);
    assert.deepEqual([done, fake.calls.close, clock.pending], [true, 1, 0]);
  });

  test('O14: a transport whose cancel, unregister or close throws does not break the owner', async () => {
    const faults: unknown[] = [];
    const { owner, fake, clock } = adopt(
      { cancelThrows: true, unregisterThrows: true, closeThrows: true },
      { events: { fault: (error) => faults.push(error) } },
    );
    const a = await acquired(owner);
    await acquired(owner);
    const c = await acquired(owner);
    c.onClosed = () => {
      throw new Error('the session fails');
    };
    a.acquired?.release();
    peerStream(fake.peer, 1).reset('cancelled');
    assert.equal(owner.streams, 1);
    await owner.stop();
    assert.deepEqual([owner.streams, c.ends.length, fake.calls.close, clock.pending], [0, 1, 1, 0]);
    assert.equal(faults.length, 7);
  });

  test('O15: after GOAWAY running streams finish, new ones are refused, then the owner stops', async () => {
    const told: string[] = [];
    const { owner, fake, clock } = adopt(
      {},
      { events: { draining: () => told.push('draining'), stopped: () => told.push('stopped') } },
    );
    const session = await acquired(owner);
    fake.peer.drain();
    await rejects(owner.acquireStream(head, recordingSession()), 'draining');
    const peer = peerStream(fake.peer, 0);
    peer.respond();
    peer.write('last words');
    await clock.advanceAsync(60_000);
    assert.deepEqual(told, ['draining']);
    peer.end();
    session.acquired?.stream.end();
    assert.deepEqual(session.log, ['response 200', 'data last words', 'end', 'ended']);
    assert.equal(fake.calls.close, 0, 'the last bytes have time to arrive');
    await clock.advanceAsync(2_000);
    assert.deepEqual([told, fake.calls.close, clock.pending], [['draining', 'stopped'], 1, 0]);
  });

  test('O15: GOAWAY with another code over h2 is a loss', async () => {
    const { owner, fake } = adopt({ version: 'h2' });
    const session = await acquired(owner);
    fake.lose({ reason: 'peer-closed', code: 0xb, detail: 'GOAWAY with code 0xb' });
    assert.ok(session.ends[0]?.kind === 'lost');
    const failure = await owner.stopped;
    assert.ok(failure.kind === 'peer_closed' && failure.code === 0xb);
    assert.equal(owner.state, 'stopped');
  });
});
