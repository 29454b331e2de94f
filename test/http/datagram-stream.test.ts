import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createDatagramStream } from '../../src/http/create-datagram-stream.js';
import type { DatagramStreamBinding, DatagramStreamOptions } from '../../src/http/datagram-stream.js';
import type { StreamOutcome, TunnelStream } from '../../src/http/tunnel-stream.js';
import { capsuleTypes, encodeCapsule, MAX_DATAGRAM_PAYLOAD } from '../../src/protocol/capsule.js';
import { encodeVarint } from '../../src/protocol/varint.js';
import type { DatagramOutcome } from '../../src/quic/connection.js';

const timeout = 10_000;
const none = new Uint8Array(0);

interface Rig {
  readonly binding: DatagramStreamBinding;
  readonly log: string[];
  readonly written: Buffer[];
  readonly sent: Buffer[];
  granted: number;
  buffered: number;
  outcome: DatagramOutcome;
  /** Feeds content as the stream would, in one piece whose view is overwritten afterwards. */
  feed(bytes: Uint8Array, pieces?: number): void;
}

function rig(
  native: boolean,
  start = true,
  capsules?: ReadonlyMap<number, number>,
  options?: DatagramStreamOptions,
): Rig {
  const log: string[] = [];
  const written: Buffer[] = [];
  const sent: Buffer[] = [];
  const tell = (name: string) => (bytes: Uint8Array, from: number, to: number) => {
    log.push(`${name} ${Buffer.from(bytes.subarray(from, to)).toString('hex')}`);
  };
  const binding = createDatagramStream(
    {
      datagram: tell('datagram'),
      ...(capsules ? { capsules } : {}),
      capsule: (type, value) => log.push(`capsule ${type} ${Buffer.from(value).toString('hex')}`),
      end: () => log.push('end'),
      drain: () => log.push('drain'),
      maxDatagramSize: (size) => log.push(`max ${size}`),
      closed: (outcome) => log.push(`closed ${outcome.kind}`),
    },
    options,
  );
  const made: Rig = {
    binding,
    log,
    written,
    sent,
    granted: 0,
    buffered: 0,
    outcome: 'sent',
    feed(bytes, pieces = 1) {
      const size = Math.max(1, Math.ceil(bytes.length / pieces));
      for (let at = 0; at < bytes.length; at += size) {
        const view = Uint8Array.of(0xee, ...bytes.subarray(at, at + size), 0xee);
        binding.streamHandler.data(view, 1, view.length - 1);
        view.fill(0xdb);
      }
    },
  };
  const stream: TunnelStream = {
    version: native ? 'h3' : 'h2',
    id: 0,
    get buffered() {
      return made.buffered;
    },
    maxDatagramSize: native ? 1200 : 0,
    nativeDatagrams: native,
    grant: (bytes) => {
      made.granted += bytes;
    },
    write(bytes, from, to) {
      written.push(Buffer.from(bytes.subarray(from, to)));
      made.buffered += to - from;
      return made.buffered < 64 * 1024;
    },
    end: () => log.push('sent end'),
    sendDatagram(head, body, from, to) {
      if (head.length + to - from > 1200) return 'too-large';
      if (made.outcome === 'sent') sent.push(Buffer.concat([head, body.subarray(from, to)]));
      return made.outcome;
    },
    reset: (reason) => log.push(`sent reset ${reason}`),
    closed: new Promise<StreamOutcome>(() => undefined),
  };
  binding.attach(stream);
  if (start) binding.start();
  return made;
}

const datagramCapsule = (value: Uint8Array): Uint8Array => encodeCapsule(capsuleTypes.DATAGRAM, value);

test('without QUIC datagrams a datagram travels as one capsule in one write', { timeout }, () => {
  const { binding, written, sent } = rig(false);
  assert.equal(binding.datagrams.maxDatagramSize, MAX_DATAGRAM_PAYLOAD);
  assert.equal(binding.datagrams.sendDatagram(Uint8Array.of(0), Uint8Array.of(7, 8, 9), 1, 3), 'sent');
  assert.equal(binding.datagrams.sendDatagram(none, none, 0, 0), 'sent');
  const large = new Uint8Array(MAX_DATAGRAM_PAYLOAD).fill(5);
  assert.equal(binding.datagrams.sendDatagram(none, large, 0, large.length), 'sent');
  assert.deepEqual(
    Buffer.concat(written),
    Buffer.concat([datagramCapsule(Uint8Array.of(0, 8, 9)), datagramCapsule(none), datagramCapsule(large)]),
  );
  assert.equal(written.length, 4);
  assert.equal(sent.length, 0);
  assert.equal(binding.datagrams.sendDatagram(Uint8Array.of(0), large, 0, large.length), 'too-large');
  assert.equal(binding.datagrams.statistics().droppedTooLarge, 1);
});

test('S26: a datagram too large for QUIC is dropped, counted and not moved into a capsule', {
  timeout,
}, () => {
  const made = rig(true);
  const { datagrams } = made.binding;
  assert.equal(datagrams.maxDatagramSize, 1200);
  assert.equal(datagrams.sendDatagram(Uint8Array.of(0), new Uint8Array(1200), 0, 1200), 'too-large');
  assert.equal(datagrams.sendDatagram(Uint8Array.of(0), new Uint8Array(1199), 0, 1199), 'sent');
  made.outcome = 'dropped';
  assert.equal(datagrams.sendDatagram(Uint8Array.of(0), none, 0, 0), 'dropped');
  assert.equal(made.written.length, 0);
  const { datagramsSent, droppedTooLarge, droppedQueueFull } = datagrams.statistics();
  assert.deepEqual([datagramsSent, droppedTooLarge, droppedQueueFull], [1, 1, 1]);
});

test('W9: DATAGRAM capsules are taken also where QUIC datagrams are in use', { timeout }, () => {
  const { binding, log, feed } = rig(true);
  feed(datagramCapsule(Uint8Array.of(0, 1)));
  binding.streamHandler.datagram(Uint8Array.of(9, 0, 2, 9), 1, 3);
  assert.deepEqual(log, ['datagram 0001', 'datagram 0002']);
  assert.equal(binding.datagrams.statistics().datagramsReceived, 2);
});

test('S5: unknown capsules are skipped silently, wanted ones come whole, however they are cut', {
  timeout,
}, () => {
  for (const pieces of [1, 2, 7, 100_000]) {
    const { binding, log, feed } = rig(false, true, new Map([[0x11, 4]]));
    feed(
      Buffer.concat([
        encodeCapsule(0x2a, new Uint8Array(300)),
        encodeCapsule(0x11, Uint8Array.of(1, 2, 3, 4)),
        encodeCapsule(0x272dda5e, none),
        datagramCapsule(Uint8Array.of(5)),
      ]),
      pieces,
    );
    binding.streamHandler.end();
    assert.deepEqual(log, ['capsule 17 01020304', 'datagram 05', 'end']);
    assert.equal(binding.datagrams.statistics().capsulesSkipped, 2);
  }
});

test('W10: an unknown capsule of 200 kB passes while credit flows steadily', { timeout }, () => {
  const made = rig(false);
  assert.equal(made.granted, 256 * 1024);
  const capsule = Buffer.concat([encodeCapsule(0x3333, new Uint8Array(200_000)), datagramCapsule(none)]);
  let fed = 0;
  for (let round = 0; round < 20; round++) {
    made.feed(capsule, 100);
    fed += capsule.length;
    assert.ok(made.granted - fed >= 128 * 1024, 'at least half the window stays open');
    assert.ok(made.granted - fed <= 256 * 1024, 'never more than the window');
  }
  assert.equal(made.log.length, 20);
});

test('W10: datagrams that come before the start are kept in order, within a bound', { timeout }, () => {
  const { binding, log } = rig(true, false);
  const view = new Uint8Array(1000);
  for (let index = 0; index < 100; index++) {
    view[0] = index;
    binding.streamHandler.datagram(view, 0, 1000);
  }
  assert.equal(log.length, 0);
  binding.start();
  binding.start();
  const kept = log.length;
  assert.equal(kept, Math.floor((64 * 1024) / 1064));
  assert.deepEqual(
    log.map((line) => Number.parseInt(line.slice(9, 11), 16)),
    Array.from({ length: kept }, (_, index) => index),
  );
  assert.equal(binding.datagrams.statistics().droppedEarly, 100 - kept);
  binding.streamHandler.datagram(view, 0, 1);
  assert.equal(log.length, kept + 1);
});

test('S6: an end inside a capsule, or a capsule over its limit, is a malformed message', { timeout }, () => {
  for (const cut of [
    datagramCapsule(Uint8Array.of(1, 2, 3)).subarray(0, 4),
    Uint8Array.of(0x40),
    encodeCapsule(0x2a, Uint8Array.of(1, 2)).subarray(0, 3),
  ]) {
    const { binding, log, feed } = rig(false);
    feed(cut);
    binding.streamHandler.end();
    assert.deepEqual(log, ['sent reset message-error']);
    assert.equal(binding.datagrams.sendDatagram(none, none, 0, 0), 'dropped');
  }
  const large = rig(false, true, new Map([[0x11, 4]]));
  large.feed(Buffer.concat([encodeCapsule(0x11, new Uint8Array(5)), datagramCapsule(none)]));
  large.feed(datagramCapsule(none));
  assert.deepEqual(large.log, ['sent reset message-error']);
  const datagram = rig(false);
  datagram.feed(Buffer.concat([encodeVarint(0), encodeVarint(MAX_DATAGRAM_PAYLOAD + 1)]));
  assert.deepEqual(datagram.log, ['sent reset message-error']);
});

test('the newest DATAGRAM capsules are dropped once 256 KiB wait, other capsules never', { timeout }, () => {
  const made = rig(false);
  const { datagrams } = made.binding;
  const body = new Uint8Array(1000);
  let sent = 0;
  while (datagrams.sendDatagram(none, body, 0, 1000) === 'sent') sent += 1;
  assert.equal(sent, Math.ceil((256 * 1024) / 1003));
  assert.equal(datagrams.sendDatagram(none, body, 0, 1), 'dropped');
  assert.equal(datagrams.sendCapsule(0x11, body), false);
  assert.equal(made.written.length, sent + 1);
  assert.equal(datagrams.statistics().droppedCapsuleQueueFull, 2);
  made.buffered = 0;
  made.binding.streamHandler.drain();
  assert.deepEqual(made.log, ['drain']);
  assert.equal(datagrams.sendDatagram(none, body, 0, 1000), 'sent');
});

test('S2: no datagram is sent after the end, nor to a peer that wants none', { timeout }, () => {
  const ended = rig(true);
  ended.binding.datagrams.end();
  assert.equal(ended.binding.datagrams.sendDatagram(none, none, 0, 0), 'dropped');
  const stopped = rig(false);
  stopped.binding.streamHandler.peerStopped?.('no-error');
  assert.equal(stopped.binding.datagrams.sendDatagram(none, none, 0, 0), 'dropped');
  assert.equal(ended.sent.length + stopped.written.length, 0);
  assert.equal(stopped.binding.datagrams.statistics().droppedEnded, 1);
});

test('a reset out of a datagram stops the parser at once', { timeout }, () => {
  let count = 0;
  const binding = createDatagramStream({
    datagram: () => {
      count += 1;
      binding.datagrams.reset('datagram-error');
    },
    end: () => undefined,
    closed: () => undefined,
  });
  const { feed } = { feed: (bytes: Uint8Array) => binding.streamHandler.data(bytes, 0, bytes.length) };
  binding.start();
  feed(Buffer.concat([datagramCapsule(none), datagramCapsule(none), datagramCapsule(none)]));
  assert.equal(count, 1);
});

test('the end of the stream is told once, and nothing after it', { timeout }, () => {
  const { binding, log } = rig(true);
  binding.streamHandler.maxDatagramSize?.(1100);
  binding.streamHandler.closed({ kind: 'lost', reason: 'timeout', detail: '' });
  binding.streamHandler.datagram(Uint8Array.of(1), 0, 1);
  binding.streamHandler.data(datagramCapsule(none), 0, 2);
  assert.deepEqual(log, ['max 1100', 'closed lost']);
  assert.equal(binding.datagrams.maxDatagramSize, 0);
  assert.equal(binding.datagrams.sendDatagram(none, none, 0, 0), 'dropped');
});

test('S6: whatever bytes come, however cut, they are parsed or the stream is reset once', { timeout }, () => {
  const wanted = new Map([[0x11, 64]]);
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.uint8Array({ maxLength: 80 }).map((value) => encodeCapsule(0x11, value)),
    fc.uint8Array({ maxLength: 300 }).map((value) => encodeCapsule(0x2b, value)),
    fc.uint8Array({ maxLength: 300 }).map(datagramCapsule),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), fc.integer({ min: 1, max: 50 }), (pieces, cuts) => {
      const made = rig(false, true, wanted);
      made.feed(Buffer.concat(pieces), cuts);
      made.binding.streamHandler.end();
      const resets = made.log.filter((line) => line === 'sent reset message-error').length;
      const ends = made.log.filter((line) => line === 'end').length;
      assert.equal(resets + ends, 1);
      assert.ok(resets === 0 || made.log.at(-1) === 'sent reset message-error', 'nothing is told after it');
    }),
    // An over-long DATAGRAM capsule, cut between its bytes: the end that follows the reset is not told.
    { examples: [[[Uint8Array.of(0, 128, 43, 1, 0)], 1]], numRuns: 1_000 },
  );
});

test('a DATAGRAM capsule is not put behind one that has waited for 250 ms', { timeout }, () => {
  let time = 0;
  const made = rig(false, true, undefined, { now: () => time });
  const { datagrams } = made.binding;
  const body = new Uint8Array(1_000);
  const send = (): DatagramOutcome => datagrams.sendDatagram(none, body, 0, body.length);
  for (; time < 250; time += 25) assert.equal(send(), 'sent');
  assert.equal(send(), 'dropped');
  assert.equal(datagrams.statistics().droppedCapsuleQueueFull, 1);
  // Three leave: the oldest is now of 75 ms, and there is room until it is 250 ms old.
  made.buffered -= 3 * 1_003;
  for (; time < 75 + 250; time += 25) assert.equal(send(), 'sent');
  assert.equal(send(), 'dropped');
  // Once all have left, what waited before says nothing about the next.
  made.buffered = 0;
  time += 1_000;
  assert.equal(send(), 'sent');
  assert.equal(send(), 'sent');
  time += 249;
  assert.equal(send(), 'sent');
  time += 1;
  assert.equal(send(), 'dropped');
});

test('what another writes into the stream counts as waiting too', { timeout }, () => {
  let time = 0;
  const made = rig(false, true, undefined, { now: () => time });
  const { datagrams } = made.binding;
  assert.equal(datagrams.sendDatagram(none, none, 0, 0), 'sent');
  datagrams.sendCapsule(0x1234, new Uint8Array(5_000));
  time = 200;
  assert.equal(datagrams.sendDatagram(none, none, 0, 0), 'sent');
  // The first leaves; the capsule that nobody could date is as old as the datagram behind it says at most.
  made.buffered -= 2;
  time = 449;
  assert.equal(datagrams.sendDatagram(none, none, 0, 0), 'sent');
  time = 450;
  assert.equal(datagrams.sendDatagram(none, none, 0, 0), 'dropped');
});
