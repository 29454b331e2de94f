import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { StreamOutcome, TunnelStream } from '../../../src/http/tunnel-stream.js';
import { encodeCapsule } from '../../../src/protocol/capsule.js';
import { type ConnectTcpRevision, connectTcpRevisions } from '../../../src/protocol/connect-tcp.js';
import type { ResetReason } from '../../../src/protocol/reset-reason.js';
import { bindCapsuleBytes } from '../../../src/tunnel/tcp/capsule-bytes.js';
import { sideRecorder } from './scripted-side.js';

const [newest, older, final] = connectTcpRevisions;

/** A stream that delivers what it was granted, and keeps what is written to it. */
function modelStream() {
  const written: Buffer[] = [];
  const resets: ResetReason[] = [];
  const state = { granted: 0, ended: false, room: true };
  const stream: TunnelStream = {
    version: 'h3',
    id: 0,
    buffered: 0,
    maxDatagramSize: 0,
    nativeDatagrams: false,
    grant(bytes) {
      assert.ok(bytes > 0);
      state.granted += bytes;
    },
    write(bytes, start, end) {
      assert.equal(state.ended, false, 'no write after the end');
      written.push(Buffer.from(bytes.subarray(start, end)));
      return state.room;
    },
    end() {
      state.ended = true;
    },
    sendDatagram: () => 'dropped',
    reset: (reason) => resets.push(reason),
    closed: new Promise<StreamOutcome>(() => undefined),
  };
  return { stream, state, written, resets, bytes: () => Buffer.concat(written) };
}

function bound(revision: ConnectTcpRevision = newest) {
  const seen = sideRecorder();
  const model = modelStream();
  const { side, streamHandler, attach, start } = bindCapsuleBytes(revision, seen);
  attach(model.stream);
  return { seen, model, side, streamHandler, start };
}

test('whatever the pieces and the credit: nothing over it, all of it in the end, the FIN without any', () => {
  const capsule = fc.record({
    kind: fc.constantFrom('data', 'data', 'data', 'unknown', 'empty'),
    size: fc.oneof(fc.nat(20), fc.nat(3000)),
    older: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.array(capsule, { maxLength: 8 }),
      fc.array(
        fc.record({ credit: fc.oneof(fc.nat(3), fc.nat(2000)), piece: fc.integer({ min: 1, max: 1500 }) }),
        {
          minLength: 1,
          maxLength: 60,
        },
      ),
      fc.boolean(),
      (capsules, steps, grantsInside) => {
        const payload: Buffer[] = [];
        const content = Buffer.concat([
          ...capsules.map(({ kind, size, older: old }, index) => {
            const { data } = (old ? older : newest).capsules;
            if (kind === 'unknown') return encodeCapsule(0x3f, Buffer.alloc(size));
            const value = Buffer.alloc(kind === 'empty' ? 0 : size, 65 + index);
            payload.push(value);
            return encodeCapsule(data, value);
          }),
          encodeCapsule(newest.capsules.finalData, Buffer.alloc(0)),
        ]);
        const expected = Buffer.concat(payload);
        const { seen, model, side, streamHandler, start } = bound();
        let credit = 0;
        let at = 0;
        const grant = (bytes: number): void => {
          credit += bytes;
          side.grant(bytes);
        };
        let grants = grantsInside ? 5 : 0;
        seen.onData = (size) => {
          credit -= size;
          assert.ok(credit >= 0, 'more than the credit');
          if (grants-- > 0) grant(7);
        };
        const deliver = (most: number): boolean => {
          const size = Math.min(most, model.state.granted, content.length - at);
          if (size === 0) return false;
          model.state.granted -= size;
          const from = at;
          at += size;
          streamHandler.data(content, from, at);
          return true;
        };
        start();
        for (const { credit: more, piece } of steps) {
          if (more > 0) grant(more);
          while (deliver(piece));
          assert.ok(
            seen.bytes === expected.length || credit === 0,
            'a stall: credit, and content that waits',
          );
        }
        if (seen.bytes < expected.length) grant(expected.length - seen.bytes);
        while (deliver(1000));
        assert.ok(Buffer.concat(seen.received).equals(expected));
        assert.ok(seen.ended, 'the FIN needs no credit');
        assert.deepEqual(model.resets, []);
      },
    ),
    { numRuns: 500 },
  );
});

test('any bytes at all: the tunnel goes on or is reset, and nothing is thrown', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }), (pieces) => {
      const { seen, model, side, streamHandler, start } = bound();
      start();
      side.grant(1 << 20);
      for (const piece of pieces) streamHandler.data(piece, 0, piece.length);
      streamHandler.end();
      assert.equal(model.resets.length, 1, 'there was no FINAL_DATA');
      const { length } = seen.order;
      for (const piece of pieces) streamHandler.data(piece, 0, piece.length);
      assert.equal(seen.order.length, length, 'nothing is told after a reset');
    }),
    { numRuns: 500 },
  );
});

test('writes are DATA, the end is FINAL_DATA, and the stream ends once both sides have', () => {
  for (const { capsules } of [newest, older]) {
    const { model, side, streamHandler, start } = bound({ token: 'any', capsules });
    start();
    side.write(Buffer.from('xhellox'), 1, 6);
    side.write(Buffer.from('nothing'), 3, 3);
    side.end();
    side.end();
    side.write(Buffer.from('late'), 0, 4);
    assert.deepEqual(
      model.bytes(),
      Buffer.concat([
        encodeCapsule(capsules.data, Buffer.from('hello')),
        encodeCapsule(capsules.finalData, Buffer.alloc(0)),
      ]),
    );
    assert.equal(model.state.ended, false, 'the peer goes on');
    const last = encodeCapsule(capsules.finalData, Buffer.alloc(0));
    streamHandler.data(last, 0, last.length);
    assert.ok(model.state.ended);
  }
});

test('a token without capsules of its own: those of the peer, and the newest before it spoke', () => {
  const { model, side, streamHandler, start } = bound(final);
  start();
  side.grant(100);
  side.write(Buffer.from('a'), 0, 1);
  const theirs = encodeCapsule(older.capsules.data, Buffer.from('hi'));
  streamHandler.data(theirs, 0, theirs.length);
  side.write(Buffer.from('b'), 0, 1);
  side.end();
  assert.deepEqual(
    model.bytes(),
    Buffer.concat([
      encodeCapsule(newest.capsules.data, Buffer.from('a')),
      encodeCapsule(older.capsules.data, Buffer.from('b')),
      encodeCapsule(older.capsules.finalData, Buffer.alloc(0)),
    ]),
  );
});

test('a peer that wants no more bytes: a writer who waits is let go, and nothing more is written', () => {
  const { model, side, streamHandler, seen, start } = bound();
  start();
  model.state.room = false;
  assert.equal(side.write(Buffer.from('full'), 0, 4), false);
  streamHandler.peerStopped?.('no-error');
  assert.equal(seen.drains, 1);
  const { length } = model.bytes();
  assert.equal(side.write(Buffer.from('more'), 0, 4), true);
  side.end();
  assert.equal(model.bytes().length, length);
});
