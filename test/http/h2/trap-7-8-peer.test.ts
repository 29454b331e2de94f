import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { PeerSettings } from '../../../src/http/connection.js';
import { echo, extendedHead, recorder, send } from '../tcp/peers.js';
import {
  code32,
  extendedBlock,
  frameClient,
  frameServer,
  frameType,
  headerBlock,
  settingsPayload,
} from './frame-peer.js';
import { grounds } from './servers.js';

const limit = { timeout: 120_000 };
const okBlock = Buffer.from([0x88]);

function goaway(lastStream: number, code: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(lastStream, 0);
  payload.writeUInt32BE(code, 4);
  return payload;
}

for (const { name, serve, dial: dialHttp2 } of grounds) {
  test(
    `trap 7: a GOAWAY without an error lets streams run and gives back the unprocessed (${name})`,
    limit,
    async (t) => {
      const server = await frameServer(t, settingsPayload([[8, 1]]));
      let drainings = 0;
      const connection = await dialHttp2(t, server.address, {
        draining() {
          drainings += 1;
        },
      });
      const peer = await server.peer;
      const [first, second] = [recorder(), recorder()];
      const running = connection.open(extendedHead, first);
      const unprocessed = connection.open(extendedHead, second);
      running.grant(100);
      await peer.waitFor((frame) => frame.type === frameType.headers && frame.stream === 3);
      peer.send(frameType.headers, 4, 1, okBlock);
      await first.responded;
      peer.send(frameType.goaway, 0, 0, goaway(1, 0));
      const outcome = await unprocessed.closed;
      assert.equal(outcome.kind === 'lost' && outcome.reason, 'peer-closed');
      assert.equal(drainings, 1);
      assert.equal(connection.usable, false);
      peer.send(frameType.data, 0, 1, Buffer.from('on'));
      peer.send(frameType.data, 1, 1);
      await first.ended;
      running.end();
      assert.deepEqual(await running.closed, { kind: 'ended' });
      assert.equal(first.bytes().toString(), 'on');
      assert.equal((await connection.closed).reason, 'peer-closed');
    },
  );

  for (const [code, reason] of [
    [0x1, 'protocol-error'],
    [0x2, 'peer-closed'],
    [0xb, 'peer-closed'],
  ] as const) {
    test(
      `trap 7: a GOAWAY with code ${code} loses the streams, with its code (${name})`,
      limit,
      async (t) => {
        const server = await frameServer(t, settingsPayload([[8, 1]]));
        const connection = await dialHttp2(t, server.address);
        const peer = await server.peer;
        const seen = recorder();
        const stream = connection.open(extendedHead, seen);
        await peer.waitFor((frame) => frame.type === frameType.headers);
        peer.send(frameType.headers, 4, 1, okBlock);
        await seen.responded;
        peer.send(frameType.goaway, 0, 0, goaway(1, code));
        const outcome = await stream.closed;
        assert.equal(outcome.kind === 'lost' && outcome.reason, reason);
        const close = await connection.closed;
        assert.equal(close.reason, reason);
        assert.equal(close.code, code);
      },
    );
  }

  test(
    `trap 7: a draining server sends GOAWAY without an error and finishes its streams (${name})`,
    limit,
    async (t) => {
      const served = await serve(t, echo);
      const peer = await frameClient(t, served.listener.localAddress);
      peer.send(frameType.headers, 4, 1, extendedBlock);
      await peer.waitFor((frame) => frame.type === frameType.headers && frame.stream === 1);
      served.connections[0]?.drain();
      const frame = await peer.waitFor((given) => given.type === frameType.goaway);
      assert.equal(code32(frame.payload, 4), 0);
      peer.send(frameType.data, 0, 1, Buffer.from('abc'));
      const echoed = await peer.waitFor((given) => given.type === frameType.data && given.stream === 1);
      assert.equal(echoed.payload.toString(), 'abc');
      peer.send(frameType.data, 1, 1);
      assert.deepEqual(await served.streams[0]?.stream.closed, { kind: 'ended' });
      assert.equal((await served.connections[0]?.closed)?.reason, 'closed');
    },
  );

  test(`trap 8: a limit that the peer does not state is undefined (${name})`, limit, async (t) => {
    const server = await frameServer(t, settingsPayload([[8, 1]]));
    const connection = await dialHttp2(t, server.address);
    assert.equal(connection.settings.maxStreams, undefined);
  });

  test(
    `trap 8: a request over the limit has no id and opens when there is room (${name})`,
    limit,
    async (t) => {
      const entries = [
        [8, 1],
        [3, 1],
      ] as const;
      const server = await frameServer(t, settingsPayload(entries));
      const told: PeerSettings[] = [];
      const connection = await dialHttp2(t, server.address, {
        settings: (settings) => void told.push(settings),
      });
      assert.equal(connection.settings.maxStreams, 1);
      const peer = await server.peer;
      const streams = [0, 1, 2, 3].map(() => connection.open(extendedHead, recorder()));
      assert.deepEqual(
        streams.map((stream) => stream.id),
        [1, -1, -1, -1],
      );
      const [first, second, third, fourth] = streams;
      assert.ok(first && second && third && fourth);
      send(second, 'kept');
      await peer.waitFor((frame) => frame.type === frameType.headers && frame.stream === 1);
      await pause(20);
      assert.equal(peer.frames.filter((frame) => frame.type === frameType.headers).length, 1);
      first.reset('cancelled');
      const data = await peer.waitFor((frame) => frame.type === frameType.data && frame.stream === 3);
      assert.equal(data.payload.toString(), 'kept');
      assert.equal(second.id, 3);
      third.reset('cancelled');
      assert.equal((await third.closed).kind, 'reset');
      peer.send(
        frameType.settings,
        0,
        0,
        settingsPayload([
          [8, 1],
          [3, 2],
        ]),
      );
      await peer.waitFor((frame) => frame.type === frameType.headers && frame.stream === 5);
      assert.equal(fourth.id, 5);
      assert.equal(told.at(-1)?.maxStreams, 2);
    },
  );

  test(`S25: no extended CONNECT before the peer allows it (${name})`, limit, async (t) => {
    const server = await frameServer(t, settingsPayload([]));
    const connection = await dialHttp2(t, server.address);
    assert.equal(connection.settings.extendedConnect, false);
    const outcome = await connection.open(extendedHead, recorder()).closed;
    assert.equal(outcome.kind === 'reset' && outcome.by, 'local');
    const peer = await server.peer;
    const seen = recorder();
    connection.open({ kind: 'connect', authority: 'a.example:443', fields: [] }, seen);
    await peer.waitFor((frame) => frame.type === frameType.headers);
    assert.equal(peer.frames.filter((frame) => frame.type === frameType.headers).length, 1);
    peer.send(frameType.settings, 0, 0, settingsPayload([[8, 1]]));
    for (let wait = 0; wait < 12_000 && !connection.settings.extendedConnect; wait += 1) await pause(5);
    connection.open(extendedHead, recorder());
    await peer.waitFor((frame) => frame.type === frameType.headers && frame.stream === 3);
  });

  test(`S25: the server's first SETTINGS allows extended CONNECT (${name})`, limit, async (t) => {
    const served = await serve(t, echo);
    const peer = await frameClient(t, served.listener.localAddress);
    const settings = await peer.waitFor((frame) => frame.type === frameType.settings);
    const entries = new Map<number, number>();
    for (let at = 0; at < settings.payload.length; at += 6) {
      entries.set(settings.payload.readUInt16BE(at), settings.payload.readUInt32BE(at + 2));
    }
    assert.equal(entries.get(8), 1);
    assert.equal(entries.get(3), 1_024);
  });

  test(`a malformed CONNECT is a stream error, and the connection goes on (${name})`, limit, async (t) => {
    const served = await serve(t, echo);
    const peer = await frameClient(t, served.listener.localAddress);
    const blocks = [
      [
        [':method', 'CONNECT'],
        [':authority', 'a:1'],
        [':path', '/'],
        [':scheme', 'https'],
      ],
      [[':method', 'CONNECT']],
      [
        [':method', 'GET'],
        [':scheme', 'https'],
        [':authority', 'a'],
      ],
      [
        [':method', 'CONNECT'],
        [':protocol', 'connect-udp'],
        [':authority', 'a'],
      ],
    ] as const;
    for (const [index, block] of blocks.entries()) {
      const id = 1 + 2 * index;
      peer.send(frameType.headers, 4, id, headerBlock(block));
      const reset = await peer.waitFor((frame) => frame.type === frameType.rstStream && frame.stream === id);
      assert.equal(code32(reset.payload), 0x1);
    }
    assert.equal(served.streams.length, 0);
    peer.send(frameType.headers, 4, 9, extendedBlock);
    await peer.waitFor((frame) => frame.type === frameType.headers && frame.stream === 9);
  });

  test(`W11: connection-specific fields are never carried over (${name})`, limit, async (t) => {
    const served = await serve(t, (stream) => {
      stream.respond({
        status: 200,
        fields: [
          ['connection', 'x-hop, close'],
          ['x-hop', '1'],
          ['upgrade', 'connect-udp'],
          ['transfer-encoding', 'chunked'],
          ['keep-alive', 'timeout=5'],
          ['proxy-connection', 'keep-alive'],
          ['x-end', '1'],
        ],
      });
      stream.end();
    });
    const connection = await dialHttp2(t, served.listener.localAddress);
    const seen = recorder();
    const stream = connection.open(
      {
        ...extendedHead,
        fields: [
          ['upgrade', 'x'],
          ['connection', 'upgrade'],
          ['x-end', '1'],
        ],
      },
      seen,
    );
    stream.grant(1);
    const response = await seen.responded;
    assert.deepEqual(
      response.fields.filter(([name]) => name !== 'date'),
      [['x-end', '1']],
    );
    assert.deepEqual(served.streams[0]?.stream.request.fields, [['x-end', '1']]);
  });

  test(`a field section over the limit is answered with 431 (${name})`, limit, async (t) => {
    const served = await serve(t, echo);
    const connection = await dialHttp2(t, served.listener.localAddress);
    const seen = recorder();
    const fields = Array.from({ length: 4 }, (_, index) => [`x-${index}`, 'y'.repeat(12_000)] as const);
    const stream = connection.open({ ...extendedHead, fields }, seen);
    stream.grant(1);
    assert.equal((await seen.responded).status, 431);
    assert.equal(served.streams.length, 0);
  });

  test(`a field section that is too large for anybody is not sent (${name})`, limit, async (t) => {
    const fields = Array.from({ length: 5 }, (_, index) => [`x-${index}`, 'y'.repeat(30_000)] as const);
    const served = await serve(t, (stream) => stream.respond({ status: 200, fields }));
    const connection = await dialHttp2(t, served.listener.localAddress);
    const asked = await connection.open({ ...extendedHead, fields }, recorder()).closed;
    assert.deepEqual([asked.kind, asked.kind === 'reset' && asked.reason], ['reset', 'message-error']);
    const answered = await connection.open(extendedHead, recorder()).closed;
    assert.deepEqual([answered.kind, answered.kind === 'reset' && answered.code], ['reset', 0x2]);
    assert.ok(connection.usable);
  });
}
