import assert from 'node:assert/strict';
import test from 'node:test';
import type { ServerStream } from '../../../src/http/tunnel-stream.js';
import { echo, extendedHead, recorder, send } from '../tcp/peers.js';
import {
  code32,
  endsStream,
  extendedBlock,
  type Frame,
  type FramePeer,
  frameClient,
  frameServer,
  frameType,
  settingsPayload,
} from './frame-peer.js';
import { grounds } from './servers.js';

const limit = { timeout: 120_000 };
const isReset = (frame: Frame): boolean => frame.type === frameType.rstStream && frame.stream === 1;
const endsFirst = (frame: Frame): boolean => frame.stream === 1 && endsStream(frame);

/** Everything up to a PING's answer has arrived. */
async function settled(peer: FramePeer): Promise<void> {
  peer.send(frameType.ping, 0, 0, Buffer.alloc(8));
  await peer.waitFor((frame) => frame.type === frameType.ping && (frame.flags & 1) === 1);
}

const serverCases: [string, (stream: ServerStream) => void][] = [
  ['before a response', (stream) => stream.reset('refused')],
  [
    'behind a response',
    (stream) => {
      stream.respond({ status: 200, fields: [] });
      stream.reset('connect-error');
    },
  ],
  [
    'behind content',
    (stream) => {
      stream.respond({ status: 200, fields: [] });
      send(stream, 'x'.repeat(1_000));
      setTimeout(() => stream.reset('connect-error'), 20);
    },
  ],
  [
    'behind content that waits for the peer',
    (stream) => {
      stream.respond({ status: 200, fields: [] });
      for (let index = 0; index < 20; index += 1) send(stream, 'x'.repeat(10_000));
      setTimeout(() => stream.reset('connect-error'), 20);
    },
  ],
];

for (const { name, serve, dial: dialHttp2 } of grounds) {
  for (const [when, act] of serverCases) {
    test(`trap 1: a server's reset ${when} comes without END_STREAM (${name})`, limit, async (t) => {
      const served = await serve(t, act);
      const peer = await frameClient(t, served.listener.localAddress);
      peer.send(frameType.headers, 4, 1, extendedBlock);
      const reset = await peer.waitFor(isReset);
      await settled(peer);
      assert.equal(peer.frames.some(endsFirst), false);
      assert.equal(code32(reset.payload), when === 'before a response' ? 0x7 : 0xa);
      assert.equal(peer.frames.filter(isReset).length, 1);
      assert.equal(served.streams[0]?.seen.outcome?.kind, 'reset');
    });
  }

  test(`trap 1: a server's clean end is END_STREAM and no reset (${name})`, limit, async (t) => {
    const served = await serve(t, echo);
    const peer = await frameClient(t, served.listener.localAddress);
    peer.send(frameType.headers, 4, 1, extendedBlock);
    peer.send(frameType.data, 0, 1, Buffer.from('abc'));
    peer.send(frameType.data, 1, 1);
    await peer.waitFor(endsFirst);
    await settled(peer);
    assert.equal(peer.frames.some(isReset), false);
    assert.deepEqual(served.streams[0]?.seen.outcome, { kind: 'ended' });
  });

  for (const content of [0, 1_000, 200_000]) {
    test(
      `trap 1: a client's reset behind ${content} bytes comes without END_STREAM (${name})`,
      limit,
      async (t) => {
        const server = await frameServer(t, settingsPayload([[8, 1]]));
        const connection = await dialHttp2(t, server.address);
        const peer = await server.peer;
        const seen = recorder();
        const stream = connection.open(extendedHead, seen);
        if (content > 0) send(stream, 'x'.repeat(content));
        await peer.waitFor((frame) => frame.type === frameType.headers);
        stream.reset('cancelled');
        const reset = await peer.waitFor(isReset);
        await settled(peer);
        assert.equal(code32(reset.payload), 0x8);
        assert.equal(peer.frames.some(endsFirst), false);
        assert.deepEqual(await stream.closed, {
          kind: 'reset',
          by: 'local',
          reason: 'cancelled',
          code: 8,
          version: 'h2',
        });
      },
    );
  }

  test(
    `trap 1: streams that the peer has ended are reset at once while another is written to (${name})`,
    limit,
    async (t) => {
      const served = await serve(t, (stream) => {
        stream.respond({ status: 200, fields: [] });
        stream.grant(1 << 30);
        stream.end();
      });
      const connection = await dialHttp2(t, served.listener.localAddress);
      for (let round = 0; round < 20; round += 1) {
        const busy = connection.open(extendedHead, recorder());
        const opened = await Promise.all(
          Array.from({ length: 12 }, async () => {
            const seen = recorder();
            const stream = connection.open(extendedHead, seen);
            stream.grant(100);
            await seen.responded;
            return { stream, seen };
          }),
        );
        const chunk = 'x'.repeat(60_000);
        for (const { stream } of opened) send(stream, 'what is on its way');
        for (let count = 0; count < 20; count += 1) send(busy, chunk);
        for (const { stream } of opened) stream.reset('connect-error');
        for (const { stream } of opened) {
          const outcome = await stream.closed;
          assert.equal(outcome.kind === 'reset' && outcome.by, 'local');
        }
        busy.end();
        assert.deepEqual(await busy.closed, { kind: 'ended' });
      }
      // Each of them is off the connection, whatever had been read of it.
      while (connection.streams > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    },
  );

  test(`trap 1: a reset by the peer is not taken for an end (${name})`, limit, async (t) => {
    const served = await serve(t, echo);
    const peer = await frameClient(t, served.listener.localAddress);
    for (const [index, code] of [0x8, 0xa, 0x2, 0x0].entries()) {
      const id = 1 + 2 * index;
      peer.send(frameType.headers, 4, id, extendedBlock);
      peer.send(frameType.data, 0, id, Buffer.from('abc'));
      await peer.waitFor((frame) => frame.type === frameType.data && frame.stream === id);
      const payload = Buffer.alloc(4);
      payload.writeUInt32BE(code);
      peer.send(frameType.rstStream, 0, id, payload);
      const outcome = await served.streams[index]?.stream.closed;
      assert.equal(outcome?.kind, 'reset');
      assert.equal(outcome.by, 'peer');
      assert.equal(outcome.code, code);
      assert.equal(served.streams[index]?.seen.ends, 0);
    }
  });

  test(`a reset without an error behind a complete request is a normal end (${name})`, limit, async (t) => {
    const served = await serve(t, (stream) => {
      stream.respond({ status: 200, fields: [] });
      stream.grant(100);
    });
    const peer = await frameClient(t, served.listener.localAddress);
    peer.send(frameType.headers, 4, 1, extendedBlock);
    peer.send(frameType.data, 1, 1, Buffer.from('abc'));
    await peer.waitFor((frame) => frame.type === frameType.headers && frame.stream === 1);
    peer.send(frameType.rstStream, 0, 1, Buffer.alloc(4));
    await served.streams[0]?.stream.closed;
    assert.deepEqual(served.streams[0]?.seen.outcome, { kind: 'ended' });
    assert.equal(served.streams[0]?.seen.bytes().toString(), 'abc');
  });
}
