import assert from 'node:assert/strict';
import test from 'node:test';
import { dialHttp2, echo, extendedHead, recorder, send, serve } from '../tcp/peers.js';

test('an extended CONNECT carries bytes both ways and ends cleanly', { timeout: 120_000 }, async (t) => {
  const served = await serve(t, echo);
  const connection = await dialHttp2(t, served.listener.localAddress);
  assert.equal(connection.settings.extendedConnect, true);
  const seen = recorder();
  const stream = connection.open(extendedHead, seen);
  stream.grant(1_000);
  send(stream, 'hello ');
  send(stream, 'there');
  assert.equal((await seen.responded).status, 200);
  stream.end();
  assert.deepEqual(await stream.closed, { kind: 'ended' });
  assert.equal(seen.bytes().toString(), 'hello there');
  const request = served.streams[0]?.stream.request;
  assert.deepEqual(request, extendedHead);
  assert.deepEqual(await served.streams[0]?.stream.closed, { kind: 'ended' });
});
