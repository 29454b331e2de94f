import assert from 'node:assert/strict';
import test from 'node:test';
import { dialHttp1, dialHttp2, recorder, send, serve } from './peers.js';

const limit = { timeout: 120_000 };
const page = { kind: 'plain', scheme: 'https', authority: 'localhost', path: '/page', fields: [] } as const;

for (const [version, dial] of [
  ['h1', dialHttp1],
  ['h2', dialHttp2],
] as const) {
  test(`a HEAD has a response and no content (${version})`, limit, async (t) => {
    const served = await serve(t, (stream) => {
      stream.respond({ status: 200, fields: [['content-length', '5']] });
      send(stream, 'hello');
      stream.end();
    });
    const connection = await dial(t, served.listener.localAddress);
    for (let round = 0; round < 2; round += 1) {
      const seen = recorder();
      const stream = connection.open({ ...page, method: 'HEAD' }, seen);
      stream.grant(100);
      stream.end();
      assert.deepEqual(await stream.closed, { kind: 'ended' });
      assert.equal(seen.responses[0]?.status, 200);
      assert.equal(seen.bytes().length, 0);
      assert.deepEqual(await served.streams[round]?.stream.closed, { kind: 'ended' });
    }
    assert.equal(served.connections.length, 1);
  });

  test(`a POST carries its content, megabytes of it (${version})`, limit, async (t) => {
    let received = 0;
    const served = await serve(t, (stream, seen) => {
      seen.data = (_bytes, start, end) => {
        received += end - start;
        stream.grant(end - start);
      };
      seen.end = () => {
        stream.respond({ status: 201, fields: [] });
        send(stream, 'done');
        stream.end();
      };
      stream.grant(100_000);
    });
    const connection = await dial(t, served.listener.localAddress);
    const seen = recorder();
    const chunk = Buffer.alloc(50_000);
    let left = 60;
    const stream = connection.open({ ...page, method: 'POST' }, seen);
    const fill = (): void => {
      for (; left > 0; left -= 1) if (!stream.write(chunk, 0, chunk.length)) break;
      if (left > 0) left -= 1;
      else stream.end();
    };
    seen.drain = fill;
    fill();
    stream.grant(100);
    assert.deepEqual(await stream.closed, { kind: 'ended' });
    assert.equal(seen.bytes().toString(), 'done');
    assert.equal(received, 60 * 50_000);
  });

  test(`an answer may come before the request is whole (${version})`, limit, async (t) => {
    const served = await serve(t, (stream) => {
      stream.respond({ status: 413, fields: [] });
      stream.end();
    });
    const connection = await dial(t, served.listener.localAddress);
    const seen = recorder();
    const stream = connection.open({ ...page, method: 'POST' }, seen);
    stream.grant(100);
    stream.write(Buffer.alloc(1_000), 0, 1_000);
    assert.equal((await seen.responded).status, 413);
    stream.end();
    await stream.closed;
  });
}
