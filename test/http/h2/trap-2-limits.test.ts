import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { ServerStream } from '../../../src/http/tunnel-stream.js';
import { echo, extendedHead, type Recorder, recorder, send } from '../tcp/peers.js';
import { code32, extendedBlock, type Frame, frameClient, frameType } from './frame-peer.js';
import { grounds } from './servers.js';

const limit = { timeout: 60_000 };

for (const { name, serve, dial: dialHttp2 } of grounds) {
  test(`trap 2: 2,000 rapid resets leave running tunnels alone (${name})`, limit, async (t) => {
    const served = await serve(t, echo);
    const connection = await dialHttp2(t, served.listener.localAddress);
    const seen = recorder();
    const running = connection.open(extendedHead, seen);
    running.grant(1_000_000);
    await seen.responded;
    for (let reset = 0; reset < 2_000; reset += 20) {
      for (let index = 0; index < 20; index += 1) {
        connection.open(extendedHead, recorder()).reset('cancelled');
      }
      await pause(1);
    }
    assert.ok(connection.usable);
    send(running, 'still here');
    for (let wait = 0; wait < 12_000 && seen.bytes().length < 10 && !seen.outcome; wait += 1) await pause(5);
    assert.equal(seen.outcome, undefined);
    assert.equal(seen.bytes().toString(), 'still here');
    running.end();
    assert.deepEqual(await running.closed, { kind: 'ended' });
    const last = recorder();
    const stream = connection.open(extendedHead, last);
    await last.responded;
    stream.reset('cancelled');
  });

  test(`trap 2: more resets drain the connection, and still more close it (${name})`, limit, async (t) => {
    const answer = (stream: ServerStream, seen: Recorder): void => {
      if (stream.request.fields.some(([name]) => name === 'x-runs')) echo(stream, seen);
    };
    const served = await serve(t, answer, { h2: { resets: { burst: 50, perSecond: 0.001 } } });
    const connection = await dialHttp2(t, served.listener.localAddress);
    const seen = recorder();
    const running = connection.open({ ...extendedHead, fields: [['x-runs', '1']] }, seen);
    running.grant(1_000);
    await seen.responded;
    for (let index = 0; index < 60; index += 1) connection.open(extendedHead, recorder()).reset('cancelled');
    while (connection.usable) await pause(5);
    send(running, 'still here');
    while (seen.bytes().length < 10 && !seen.outcome) await pause(5);
    assert.equal(seen.bytes().toString(), 'still here');
    running.end();
    assert.deepEqual(await running.closed, { kind: 'ended' });

    const peer = await frameClient(t, served.listener.localAddress);
    const cancel = Buffer.from([0, 0, 0, 8]);
    // One that goes on, so that the drained connection is not closed for want of any.
    peer.send(frameType.headers, 4, 1, extendedBlock);
    for (let id = 3; id < 2 * 150; id += 2) {
      peer.send(frameType.headers, 4, id, extendedBlock);
      peer.send(frameType.rstStream, 0, id, cancel);
    }
    const isGoaway = (code: number) => (frame: Frame) =>
      frame.type === frameType.goaway && code32(frame.payload, 4) === code;
    await peer.waitFor(isGoaway(0));
    await peer.waitFor(isGoaway(0xb));
  });

  test(`trap 2: resets in one flight end nothing but their own connection (${name})`, limit, async (t) => {
    const served = await serve(t, echo);
    const other = await dialHttp2(t, served.listener.localAddress);
    const seen = recorder();
    const running = other.open(extendedHead, seen);
    running.grant(1_000);
    await seen.responded;
    const flooding = await dialHttp2(t, served.listener.localAddress);
    for (let index = 0; index < 2_000; index += 1) {
      flooding.open(extendedHead, recorder()).reset('cancelled');
    }
    await pause(200);
    send(running, 'untouched');
    running.end();
    assert.deepEqual(await running.closed, { kind: 'ended' });
    assert.equal(seen.bytes().toString(), 'untouched');
  });

  test(`trap 2, W8: 300 stalled uploads beside one that runs (${name})`, limit, async (t) => {
    const served = await serve(t, (stream, seen) => {
      stream.respond({ status: 200, fields: [] });
      if (stream.request.fields.some(([name]) => name === 'x-runs')) {
        seen.data = (_bytes, start, end) => stream.grant(end - start);
        seen.end = () => stream.end();
        stream.grant(1_000_000);
      }
    });
    const connection = await dialHttp2(t, served.listener.localAddress);
    const chunk = Buffer.alloc(64 * 1024);
    const stalled = Array.from({ length: 300 }, () => {
      const seen = recorder();
      const stream = connection.open(extendedHead, seen);
      // More than the window of a stream, so that each is really stuck.
      for (let index = 0; index < 6; index += 1) stream.write(chunk, 0, chunk.length);
      return { stream, seen };
    });
    await Promise.all(stalled.map(({ seen }) => seen.responded));
    await pause(300);
    const seen = recorder();
    const running = connection.open({ ...extendedHead, fields: [['x-runs', '1']] }, seen);
    for (let sent = 0; sent < 10_000_000; sent += chunk.length) {
      if (!running.write(chunk, 0, chunk.length)) {
        const drains = seen.drains;
        while (seen.drains === drains && !seen.outcome) await pause(1);
      }
    }
    running.end();
    assert.deepEqual(await running.closed, { kind: 'ended' });
    assert.equal(stalled.filter(({ seen }) => seen.outcome !== undefined).length, 0);
    assert.equal(connection.streams, 300);
  });

  test(`1,000 streams at once on a connection (${name})`, limit, async (t) => {
    const served = await serve(t, echo);
    const connection = await dialHttp2(t, served.listener.localAddress);
    const tunnels = Array.from({ length: 1_000 }, () => {
      const seen = recorder();
      const stream = connection.open(extendedHead, seen);
      stream.grant(100);
      send(stream, 'x');
      stream.end();
      return stream;
    });
    const outcomes = await Promise.all(tunnels.map((stream) => stream.closed));
    assert.ok(outcomes.every((outcome) => outcome.kind === 'ended'));
  });
}
