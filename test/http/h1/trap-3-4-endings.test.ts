import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { RequestHead } from '../../../src/http/request.js';
import type { ServerStream } from '../../../src/http/tunnel-stream.js';
import { dialHttp1, extendedHead, type Recorder, recorder, type Served, send, serve } from '../tcp/peers.js';
import { type TextClient, textClient, upgradeText } from '../tcp/text-client.js';

const limit = { timeout: 120_000 };
const connectText = 'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n';

interface Opened {
  readonly client: TextClient;
  readonly served: Served;
  readonly stream: ServerStream;
  readonly seen: Recorder;
}

async function openTunnel(t: TestContext, text: string, credit: number): Promise<Opened> {
  const served = await serve(t, (stream) => {
    stream.respond({ status: 200, fields: [] });
    stream.grant(credit);
  });
  const client = await textClient(t, served.listener.localAddress);
  client.send(text);
  await client.until((given) => given.includes('\r\n\r\n'));
  const [first] = served.streams;
  assert.ok(first);
  return { client, served, ...first };
}

for (const queued of [0, 10, 100_000]) {
  test(`trap 3: a reset behind ${queued} bytes that a paused socket holds is no end`, limit, async (t) => {
    const { client, stream, seen } = await openTunnel(t, upgradeText(), 0);
    if (queued > 0) client.send('x'.repeat(queued));
    await pause(30);
    client.raw.resetAndDestroy();
    await pause(30);
    stream.grant(1_000_000);
    const outcome = await stream.closed;
    assert.equal(outcome.kind, 'reset', JSON.stringify(outcome));
    assert.equal(outcome.by, 'peer');
    assert.equal(seen.ends, 0);
  });
}

test('trap 3: a reset is not an end for one who reads either', limit, async (t) => {
  const { client, stream, seen } = await openTunnel(t, upgradeText(), 1_000_000);
  client.send('x'.repeat(1_000));
  await pause(30);
  client.raw.resetAndDestroy();
  const outcome = await stream.closed;
  assert.equal(outcome.kind, 'reset');
  assert.equal(seen.ends, 0);
});

for (const [when, wait] of [
  ['at once', 0],
  ['later', 30],
] as const) {
  test(`trap 4: close_notify ${when} behind the last byte is a clean end`, limit, async (t) => {
    const { client, stream, seen } = await openTunnel(t, upgradeText(), 1_000_000);
    client.send('last');
    if (wait > 0) await pause(wait);
    client.socket.end();
    await seen.ended;
    assert.equal(seen.bytes().toString(), 'last');
    assert.equal(seen.outcome, undefined);
    send(stream, 'still here');
    await client.until((text) => text.endsWith('still here'));
    stream.end();
    assert.deepEqual(await stream.closed, { kind: 'ended' });
  });
}

test('trap 4: a FIN without close_notify is a loss', limit, async (t) => {
  const { client, stream, seen } = await openTunnel(t, upgradeText(), 1_000_000);
  client.send('last');
  await pause(30);
  client.raw.end();
  const outcome = await stream.closed;
  assert.deepEqual(outcome, {
    kind: 'lost',
    reason: 'peer-closed',
    detail: 'TLS ended without close_notify',
  });
  assert.equal(seen.ends, 0);
});

test('trap 4: on a classic CONNECT a bare FIN counts as an end', limit, async (t) => {
  const { client, seen, stream } = await openTunnel(t, connectText, 1_000_000);
  client.send('last');
  await pause(30);
  client.raw.end();
  await seen.ended;
  assert.equal(seen.bytes().toString(), 'last');
  stream.end();
  assert.equal((await stream.closed).kind, 'ended');
});

test('trap 4: a reset of a tunnel is a TCP reset, and the other end sees one', limit, async (t) => {
  for (const head of [
    extendedHead,
    { kind: 'connect', authority: 'a.example:1', fields: [] } as RequestHead,
  ]) {
    const served = await serve(t, (stream) => {
      stream.respond({ status: 200, fields: [] });
      stream.grant(1_000);
      setTimeout(() => stream.reset('connect-error'), 30);
    });
    const connection = await dialHttp1(t, served.listener.localAddress);
    const seen = recorder();
    const stream = connection.open(head, seen);
    stream.grant(1_000);
    const outcome = await stream.closed;
    assert.deepEqual(outcome, {
      kind: 'reset',
      by: 'peer',
      reason: 'unknown',
      code: undefined,
      version: 'h1',
    });
    assert.equal(seen.ends, 0);
    assert.equal(connection.usable, false);
  }
});

test('a reset in the turn of the end is still a reset, and the process can exit', limit, async (t) => {
  const served = await serve(t, (stream) => {
    stream.respond({ status: 200, fields: [] });
    stream.grant(1_000);
  });
  const connection = await dialHttp1(t, served.listener.localAddress);
  const seen = recorder();
  const stream = connection.open(extendedHead, seen);
  await seen.responded;
  stream.end();
  stream.reset('cancelled');
  const outcome = await stream.closed;
  assert.equal(outcome.kind === 'reset' && outcome.by, 'local');
  await connection.closed;
  served.streams[0]?.stream.reset('cancelled');
});
