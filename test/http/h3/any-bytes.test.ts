import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { h3ErrorName } from '../../../src/protocol/h3-error.js';
import {
  connect,
  connectUdp,
  control,
  data,
  frame,
  get,
  headers,
  idFrame,
  join,
  post,
  type RawPeer,
  rawClient,
  rawServer,
  settings,
} from './raw-peer.js';
import { extended, plain, recorder, recordingClientHandler } from './recorded-streams.js';
import { createNetwork, dial, type Network, serve } from './simulated-http.js';

const options = { timeout: 120_000 };

/** Frames that mean something, so that what follows them is reached. */
const sane: fc.Arbitrary<Uint8Array> = fc.constantFrom(
  get(),
  post(['content-length', '3']),
  connect(),
  connectUdp(),
  headers([':status', '200']),
  headers([':status', '103']),
  headers(['trailer', 'x']),
  data('abc'),
  settings([0x08, 1], [0x33, 1]),
  frame(0x21, [1, 2, 3]),
  idFrame(0x07, 4),
  idFrame(0x0d, 1),
);
const anyBytes = fc.uint8Array({ maxLength: 40 });
const anyFrame = fc
  .tuple(fc.integer({ min: 0, max: 0x40 }), anyBytes)
  .map(([type, payload]) => frame(type, payload));
const wire = fc
  .array(fc.oneof({ weight: 4, arbitrary: sane }, { weight: 2, arbitrary: anyFrame }, anyBytes), {
    maxLength: 5,
  })
  .map((parts) => join(...parts));

type Step =
  | { readonly kind: 'stream' | 'unidirectional'; readonly wire: Uint8Array; readonly then: string }
  | { readonly kind: 'datagram'; readonly wire: Uint8Array }
  | { readonly kind: 'wait'; readonly milliseconds: number };

const then = fc.constantFrom('nothing', 'end', 'reset', 'stop', 'stop and end');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('stream' as const), wire, then }),
  fc.record({
    kind: fc.constant('unidirectional' as const),
    wire: fc.tuple(fc.constantFrom(0, 0, 1, 2, 3, 0x21), wire).map(([type, bytes]) => join([type], bytes)),
    then,
  }),
  fc.record({ kind: fc.constant('datagram' as const), wire: fc.uint8Array({ maxLength: 12 }) }),
  fc.record({ kind: fc.constant('wait' as const), milliseconds: fc.integer({ min: 1, max: 300 }) }),
);

async function run(net: Network, peer: RawPeer, steps: readonly Step[]): Promise<void> {
  for (const each of steps) {
    if (each.kind === 'wait') {
      await net.clock.advanceAsync(each.milliseconds);
    } else if (each.kind === 'datagram') {
      peer.datagram(each.wire);
    } else {
      const stream = each.kind === 'stream' ? peer.open(each.wire) : peer.openUnidirectional(each.wire);
      if (each.then.startsWith('stop') && each.kind === 'stream') stream.quic.stop(0x100);
      if (each.then.endsWith('end')) stream.quic.end();
      if (each.then === 'reset') stream.quic.reset(0x10c);
    }
  }
  await net.clock.advanceAsync(500);
}

/** Whatever it was closed for has a name. */
function checkClose(peer: RawPeer): void {
  if (!peer.close) return;
  assert.equal(peer.close.kind, 'application');
  if (peer.close.kind === 'application') assert.match(h3ErrorName(peer.close.code), /^(H3|QPACK)_/);
}

test('a server takes any bytes: a named error or none, and nothing is left behind', options, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
      const net = createNetwork();
      const server = await serve(net, { headersTimeout: 200 });
      server.onRequest = ({ stream }) => {
        stream.grant(1 << 20);
        stream.respond({ status: 200, fields: [] });
      };
      const peer = await rawClient(net);
      await run(net, peer, steps);
      checkClose(peer);
      const [connection] = server.connections;
      assert.ok(connection);
      connection.close('shutdown');
      peer.quic.close(0x100, '');
      await net.clock.advanceAsync(100);
      assert.equal(connection.streams, 0);
      for (const served of server.requests) {
        assert.equal(served.log.filter((event) => event.startsWith('closed')).length, 1);
        assert.ok(served.log.at(-1)?.startsWith('closed'));
      }
      assert.equal(net.clock.pending, 0);
    }),
    { numRuns: 300 },
  );
});

test('a client takes any bytes: a named error or none, and nothing is left behind', options, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 5 }), wire, wire, async (steps, answer, second) => {
      const net = createNetwork();
      const accepted = rawServer(net);
      const dialling = dial(net);
      dialling.catch(() => undefined);
      const peer = await await accepted;
      peer.openUnidirectional(control());
      const { connection } = await dialling;
      const ends = [extended, plain].map((head) => {
        const got = recorder();
        connection.open(head, recordingClientHandler(got)).grant(1 << 20);
        return got;
      });
      await net.clock.advanceAsync(50);
      const requests = peer.theirs.filter(({ quic }) => quic.bidirectional);
      for (const [index, bytes] of [answer, second].entries()) {
        requests[index]?.quic.write(bytes, 0, bytes.length);
        if (index === 1) requests[index]?.quic.end();
      }
      await run(net, peer, steps);
      checkClose(peer);
      peer.quic.close(0x100, '');
      connection.close();
      await net.clock.advanceAsync(100);
      assert.equal(connection.streams, 0);
      for (const got of ends) {
        assert.equal(got.log.filter((event) => event.startsWith('closed')).length, 1);
        assert.ok(got.log.at(-1)?.startsWith('closed'));
      }
      assert.equal(net.clock.pending, 0);
    }),
    { numRuns: 200 },
  );
});
