import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FakePairOptions } from '../../../src/http/fake/pair.js';
import { BautaError } from '../../../src/protocol/bauta-error.js';
import { createUdpPair, open, send } from './udp-pair.js';

const transports: readonly (readonly [string, Partial<FakePairOptions>])[] = [
  ['QUIC datagrams', {}],
  ['capsules', { version: 'h2', nativeDatagrams: false }],
];

const hasCode =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof BautaError && error.code === code;

for (const [how, options] of transports) {
  describe(`a UDP tunnel by ${how}`, { timeout: 600_000 }, () => {
    test('carries payloads both ways, unchanged and in order', async () => {
      const pair = createUdpPair(options);
      const { tunnel, payloads } = await open(pair);
      for (const text of ['one', 'two', 'three']) assert.equal(send(tunnel, text), 'sent');
      await pair.clock.advanceAsync(20);
      assert.deepEqual(pair.target().sent.map(String), ['one', 'two', 'three']);
      for (const payload of pair.target().sent) pair.target().deliver(payload);
      await pair.clock.advanceAsync(20);
      assert.deepEqual(payloads.map(String), ['one', 'two', 'three']);
      assert.equal(pair.served[0]?.statistics().payloadsIn, 3);
      assert.equal(tunnel.statistics().bytesIn, 11);
    });

    test('S13: an empty payload is a packet, in both directions', async () => {
      const pair = createUdpPair(options);
      const { tunnel, payloads } = await open(pair);
      assert.equal(send(tunnel, ''), 'sent');
      await pair.clock.advanceAsync(20);
      assert.deepEqual(pair.target().sent, [Buffer.alloc(0)]);
      pair.target().deliver(new Uint8Array(0));
      await pair.clock.advanceAsync(20);
      assert.deepEqual(payloads, [Buffer.alloc(0)]);
    });

    test('W10: payloads sent before the 2xx arrive, first and in order', async () => {
      const pair = createUdpPair(options);
      pair.sockets.hold();
      const { tunnel } = await open(pair, { settle: false });
      for (let index = 0; index < 20; index++) assert.equal(send(tunnel, `early ${index}`), 'sent');
      await pair.clock.advanceAsync(500);
      assert.equal(pair.sockets.opened.length, 0);
      pair.sockets.release();
      await pair.clock.advanceAsync(20);
      assert.equal((await tunnel.ready).status, 200);
      send(tunnel, 'later');
      await pair.clock.advanceAsync(20);
      const expected = [...Array.from({ length: 20 }, (_, index) => `early ${index}`), 'later'];
      assert.deepEqual(pair.target().sent.map(String), expected);
    });

    test('payloads before the socket is ready are bounded, and the rest counted', async () => {
      const pair = createUdpPair(options);
      pair.sockets.hold();
      const { tunnel } = await open(pair, { settle: false });
      await pair.clock.advanceAsync(20);
      for (let index = 0; index < 200; index++) send(tunnel, Buffer.alloc(1_000, index));
      await pair.clock.advanceAsync(500);
      pair.sockets.release();
      await pair.clock.advanceAsync(20);
      const kept = pair.target().sent.length;
      assert.ok(kept >= 32 && kept <= 96, `${kept} were kept`);
      assert.equal(kept + (pair.served[0]?.statistics().droppedInEarly ?? 0), 200);
      assert.deepEqual(pair.target().sent[0], Buffer.alloc(1_000, 0));
    });

    test('tunnels that wait share their room, and give it back', async () => {
      const pair = createUdpPair(options);
      pair.sockets.hold();
      const opened = await Promise.all([1, 2, 3, 4].map(() => open(pair, { settle: false })));
      await pair.clock.advanceAsync(20);
      for (const { tunnel } of opened) {
        for (let index = 0; index < 60; index++) send(tunnel, Buffer.alloc(1_000));
      }
      await pair.clock.advanceAsync(500);
      assert.ok(pair.earlyRoom.left < 2_000, `${pair.earlyRoom.left} bytes are left`);
      opened[0]?.tunnel.reset('cancelled');
      await pair.clock.advanceAsync(20);
      pair.sockets.release();
      await pair.clock.advanceAsync(50);
      assert.equal(pair.earlyRoom.left, 200_000);
      const sent = pair.sockets.opened.reduce((sum, socket) => sum + socket.sent.length, 0);
      assert.ok(sent > 100 && sent < 200, `${sent} were delivered`);
    });

    test('S12: a datagram with an unknown context id is dropped and counted, and the tunnel goes on', async () => {
      const pair = createUdpPair(options);
      const { tunnel, payloads } = await open(pair);
      const [stream] = pair.streams;
      assert.ok(stream);
      const unknown = Uint8Array.of(0x02, 1, 2, 3);
      const head = stream.nativeDatagrams ? undefined : Uint8Array.of(0x00, unknown.length);
      if (head) stream.write(Buffer.concat([head, unknown]), 0, head.length + unknown.length);
      else stream.sendDatagram(new Uint8Array(0), unknown, 0, unknown.length);
      await pair.clock.advanceAsync(20);
      pair.target().deliver(Buffer.from('known'));
      await pair.clock.advanceAsync(20);
      assert.deepEqual(payloads.map(String), ['known']);
      assert.equal(tunnel.statistics().droppedInUnknownContext, 1);
    });

    test("the end of the client's side ends the tunnel and closes the socket", async () => {
      const pair = createUdpPair(options);
      await pair.clock.advanceAsync(20);
      const timers = pair.clock.pending;
      const { tunnel } = await open(pair);
      send(tunnel, 'last words');
      tunnel.end();
      await pair.clock.advanceAsync(50);
      assert.deepEqual(pair.target().sent.map(String), ['last words']);
      assert.equal(pair.target().closed, true);
      assert.deepEqual(await tunnel.closed, { kind: 'ended' });
      const end = await pair.served[0]?.closed;
      assert.deepEqual(end, { cause: { kind: 'client' }, outcome: { kind: 'ended' } });
      assert.equal(pair.clock.pending, timers, 'timers are left over');
    });

    test('a reset by the client closes the socket and is no clean end', async () => {
      const pair = createUdpPair(options);
      const { tunnel } = await open(pair);
      tunnel.reset('cancelled');
      await pair.clock.advanceAsync(50);
      assert.equal(pair.target().closed, true);
      const end = await pair.served[0]?.closed;
      assert.equal(end?.outcome.kind, 'reset');
    });

    for (const problem of ['refused', 'host-unreachable', 'network-unreachable', 'other'] as const) {
      test(`S10: a dead socket (${problem}) closes the stream with a connect error`, async () => {
        const pair = createUdpPair(options);
        const { tunnel } = await open(pair);
        pair.target().fail(problem, 'E-TEST');
        await pair.clock.advanceAsync(50);
        const outcome = await tunnel.closed;
        assert.equal(outcome.kind, 'reset');
        assert.equal(outcome.kind === 'reset' && outcome.reason, 'connect-error');
        assert.equal(pair.target().closed, true);
        const end = await pair.served[0]?.closed;
        assert.deepEqual(end?.cause, { kind: 'target', problem, errno: 'E-TEST' });
      });
    }

    test('W1: a packet too large for the path to the target is counted, and the tunnel stays', async () => {
      const pair = createUdpPair(options);
      const { tunnel, payloads } = await open(pair);
      pair.target().fail('too-large', 'EMSGSIZE');
      pair.target().fail('no-memory', 'ENOBUFS');
      send(tunnel, 'still here');
      pair.target().deliver(Buffer.from('me too'));
      await pair.clock.advanceAsync(50);
      assert.deepEqual(pair.target().sent.map(String), ['still here']);
      assert.deepEqual(payloads.map(String), ['me too']);
      assert.equal(pair.served[0]?.statistics().droppedInTooLarge, 1);
      assert.equal(pair.served[0]?.statistics().droppedInSocket, 1);
    });

    test('a tunnel ends after its idle time, not before, and activity renews it', async () => {
      const pair = createUdpPair(options);
      const { tunnel } = await open(pair);
      await pair.clock.advanceAsync(100_000);
      pair.target().deliver(Buffer.from('sign of life'));
      await pair.clock.advanceAsync(115_000);
      assert.equal(pair.target().closed, false);
      await pair.clock.advanceAsync(45_000);
      assert.equal(pair.target().closed, true);
      assert.deepEqual(await tunnel.closed, { kind: 'ended' });
      assert.deepEqual((await pair.served[0]?.closed)?.cause, { kind: 'idle' });
    });

    test('a refused request rejects with its status and Proxy-Status', async () => {
      const pair = createUdpPair(options);
      await pair.clock.advanceAsync(20);
      const timers = pair.clock.pending;
      pair.refuse = {
        status: 502,
        fields: [['proxy-status', 'proxy; error=dns_error; rcode="NXDOMAIN"; details="no such name"']],
      };
      const { tunnel } = await open(pair, { settle: false });
      send(tunnel, 'never arrives');
      await pair.clock.advanceAsync(50);
      await assert.rejects(tunnel.ready, (error: unknown) => {
        assert.ok(error instanceof BautaError);
        assert.equal(error.code, 'ERR_TARGET_NAME');
        assert.equal(error.status, 502);
        assert.match(error.proxyStatus ?? '', /NXDOMAIN/);
        return true;
      });
      await pair.clock.advanceAsync(10_000);
      assert.equal(pair.connection.client.streams, 0);
      assert.equal(pair.connection.server.streams, 0);
      assert.equal(pair.clock.pending, timers, 'timers are left over');
    });

    test('a proxy that does not answer is a timeout, and the request is cancelled', async () => {
      const pair = createUdpPair(options);
      pair.sockets.hold();
      const { tunnel } = await open(pair, { settle: false });
      await pair.clock.advanceAsync(10_100);
      await assert.rejects(tunnel.ready, hasCode('ERR_PROXY_TIMEOUT'));
      await pair.clock.advanceAsync(100);
      assert.equal(pair.connection.server.streams, 0);
      pair.sockets.release();
      await pair.clock.advanceAsync(100);
      assert.equal(pair.target().closed, true, 'a socket that came too late is closed');
    });

    test('aborting before the answer cancels the request', async () => {
      const pair = createUdpPair(options);
      pair.sockets.hold();
      const abort = new AbortController();
      const { tunnel } = await open(pair, { settle: false, signal: abort.signal });
      await pair.clock.advanceAsync(50);
      abort.abort();
      await assert.rejects(tunnel.ready, hasCode('ERR_ABORTED'));
      await pair.clock.advanceAsync(100);
      assert.equal(pair.connection.server.streams, 0);
    });

    test('a lost connection rejects what is opening and tells what is open', async () => {
      const pair = createUdpPair(options);
      const first = await open(pair);
      pair.sockets.hold();
      const second = await open(pair, { settle: false });
      await pair.clock.advanceAsync(50);
      pair.connection.server.close('shutdown');
      await pair.clock.advanceAsync(50);
      assert.equal((await first.tunnel.closed).kind, 'lost');
      await assert.rejects(second.tunnel.ready, hasCode('ERR_CONNECTION_LOST'));
      assert.equal(pair.target().closed, true);
    });

    test('a payload that no UDP packet can be is refused where it is sent', async () => {
      const pair = createUdpPair(options);
      const { tunnel } = await open(pair);
      assert.equal(send(tunnel, Buffer.alloc(65_528)), 'too-large');
      assert.equal(tunnel.statistics().droppedOutTooLarge, 1);
    });
  });
}

describe('a UDP tunnel', { timeout: 600_000 }, () => {
  test('S13: a payload above 65,527 bytes aborts the stream', async () => {
    const pair = createUdpPair({ version: 'h2', nativeDatagrams: false });
    const { tunnel } = await open(pair);
    const [stream] = pair.streams;
    assert.ok(stream);
    const length = 65_529;
    const capsule = Buffer.alloc(5 + length);
    capsule.writeUInt32BE((0x80000000 + length) >>> 0, 1);
    stream.write(capsule, 0, capsule.length);
    await pair.clock.advanceAsync(50);
    const outcome = await tunnel.closed;
    assert.equal(outcome.kind, 'reset');
    assert.equal(outcome.kind === 'reset' && outcome.by, 'local');
  });

  test('S26: on QUIC datagrams a payload that does not fit is dropped, not put into a capsule', async () => {
    const pair = createUdpPair();
    const { tunnel } = await open(pair);
    assert.ok(tunnel.maxPayloadSize >= 1_200 && tunnel.maxPayloadSize < 1_500);
    assert.equal(send(tunnel, Buffer.alloc(tunnel.maxPayloadSize)), 'sent');
    assert.equal(send(tunnel, Buffer.alloc(tunnel.maxPayloadSize + 1)), 'too-large');
    pair.target().deliver(Buffer.alloc(1_452));
    await pair.clock.advanceAsync(50);
    assert.equal(pair.target().sent.length, 1);
    assert.equal(pair.served[0]?.statistics().droppedOutTooLarge, 1);
    assert.equal(send(tunnel, 'next'), 'sent');
  });

  test('W9: a DATAGRAM capsule is taken where QUIC datagrams are in use', async () => {
    const pair = createUdpPair();
    const { payloads } = await open(pair);
    const [stream] = pair.streams;
    const capsule = Buffer.from(`000600${Buffer.from('hello').toString('hex')}`, 'hex');
    stream?.write(capsule, 0, capsule.length);
    await pair.clock.advanceAsync(50);
    assert.deepEqual(payloads.map(String), ['hello']);
  });

  test('W10: an unknown capsule of 200 kB passes by without stalling the tunnel', async () => {
    const pair = createUdpPair();
    const { tunnel } = await open(pair);
    const [stream] = pair.streams;
    const received = pair.served[0];
    assert.ok(stream && received);
    const size = 200_000;
    const head = Buffer.from('3f80000000', 'hex');
    head.writeUInt32BE((0x80000000 + size) >>> 0, 1);
    stream.write(Buffer.concat([head, Buffer.alloc(size)]), 0, head.length + size);
    stream.write(Buffer.from('000400796573', 'hex'), 0, 6);
    await pair.clock.advanceAsync(500);
    assert.equal(tunnel.statistics().payloadsIn, 1);
  });

  test('S6: an end in the middle of a capsule is malformed and resets the stream', async () => {
    const pair = createUdpPair();
    const { tunnel } = await open(pair);
    const [stream] = pair.streams;
    stream?.write(Buffer.from('00ff', 'hex'), 0, 1);
    stream?.end();
    await pair.clock.advanceAsync(50);
    const outcome = await tunnel.closed;
    assert.deepEqual(outcome, {
      kind: 'reset',
      by: 'local',
      reason: 'message-error',
      code: 0x10e,
      version: 'h3',
    });
  });

  test('a 2xx that cannot carry capsules breaks the protocol', async () => {
    const pair = createUdpPair();
    pair.refuse = { status: 204, fields: [] };
    const { tunnel } = await open(pair, { settle: false });
    await pair.clock.advanceAsync(50);
    await assert.rejects(tunnel.ready, hasCode('ERR_PROXY_PROTOCOL'));
  });
});
