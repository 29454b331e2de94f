import assert from 'node:assert/strict';
import type { RequestHead } from '../../../src/http/request.js';
import type { Fields } from '../../../src/protocol/fields.js';
import { conformanceTests, extendedHead, ok, pattern, plenty, writeAll } from './bench.js';
import type { Implementation } from './pair.js';

const ours = (fields: Fields): Fields => fields.filter(([name]) => name.startsWith('x-'));

/** Requests, responses and their order. */
export function openingTests(implementation: Implementation): void {
  const { supports } = implementation;
  const it = conformanceTests(implementation);

  it('an extended request and its response arrive as they were sent', async (bench) => {
    const fields: Fields = [
      ['capsule-protocol', '?1'],
      ['x-first', 'one'],
      ['x-second', 'a, b;c="d"'],
      ['x-long', 'v'.repeat(3000)],
      ['authorization', 'Basic dXNlcjpwYXNz'],
    ];
    const head: RequestHead = {
      ...extendedHead,
      path: '/masque/udp/2001%3Adb8%3A%3A1/53/?q=%20',
      fields,
    } as RequestHead;
    const client = bench.open(head);
    const server = await bench.nextRequest();
    const { request } = server.stream;
    assert.ok(request.kind === 'extended' && head.kind === 'extended');
    assert.equal(request.protocol, 'connect-udp');
    assert.equal(request.scheme, 'https');
    assert.equal(request.authority, 'proxy.test');
    assert.equal(request.path, head.path);
    assert.deepEqual(ours(request.fields), ours(fields));
    for (const name of ['capsule-protocol', 'authorization']) {
      assert.deepEqual(
        request.fields.filter((field) => field[0] === name),
        fields.filter((field) => field[0] === name),
      );
    }
    const answer: Fields = [
      ['x-one', '1'],
      ['proxy-status', 'p; next-hop="192.0.2.1:1"'],
      ['x-two', ''],
    ];
    server.stream.respond({ status: 200, fields: answer });
    await bench.until(() => client.seen.head !== undefined, 'the response');
    assert.equal(client.seen.head?.status, 200);
    assert.deepEqual(ours(client.seen.head?.fields ?? []), ours(answer));
    assert.ok(
      client.seen.head?.fields.some(([name, value]) => name === 'proxy-status' && value === answer[1]?.[1]),
    );
    assert.deepEqual(client.seen.order, ['response']);
    assert.equal(client.stream.version, server.stream.version);
    assert.equal(client.stream.version, bench.client.version);
    assert.ok(client.stream.id >= 0);
  });

  it(
    'a classic CONNECT carries raw bytes both ways and ends',
    async (bench) => {
      const client = bench.open({ kind: 'connect', authority: 'example.test:443', fields: [['x-a', 'b']] });
      client.stream.grant(plenty);
      const server = await bench.nextRequest();
      server.stream.grant(plenty);
      assert.equal(server.stream.request.kind, 'connect');
      assert.equal(server.stream.request.authority, 'example.test:443');
      assert.deepEqual(ours(server.stream.request.fields), [['x-a', 'b']]);
      server.stream.respond(ok);
      await bench.until(() => client.seen.head !== undefined, 'the response');
      writeAll(client.stream, Buffer.from('to the target'));
      writeAll(server.stream, Buffer.from('from the target'));
      await bench.until(() => client.seen.received === 15 && server.seen.received === 13, 'the bytes');
      assert.equal(client.seen.content().toString(), 'from the target');
      assert.equal(server.seen.content().toString(), 'to the target');
      client.stream.end();
      await bench.until(() => server.seen.ended, "the client's end");
      server.stream.end();
      await bench.until(() => !!client.seen.outcome && !!server.seen.outcome, 'the outcomes');
      assert.deepEqual([client.seen.outcome, server.seen.outcome], [{ kind: 'ended' }, { kind: 'ended' }]);
    },
    { skip: !supports.connectKind && 'no classic CONNECT' },
  );

  it('an ordinary GET is answered with content', async (bench) => {
    const client = bench.open({
      kind: 'plain',
      method: 'GET',
      scheme: 'https',
      authority: 'proxy.test',
      path: '/status?full',
      fields: [['x-a', 'b']],
    });
    client.stream.grant(plenty);
    client.stream.end();
    const server = await bench.nextRequest();
    const { request } = server.stream;
    assert.ok(request.kind === 'plain');
    assert.deepEqual(
      [request.method, request.scheme, request.authority, request.path],
      ['GET', 'https', 'proxy.test', '/status?full'],
    );
    server.stream.grant(plenty);
    server.stream.respond({ status: 200, fields: [['content-type', 'text/plain']] });
    writeAll(server.stream, Buffer.from('hello'));
    server.stream.end();
    await bench.until(() => client.seen.outcome !== undefined, "the client's outcome");
    assert.deepEqual(client.seen.order, ['response', 'data', 'end', 'closed']);
    assert.equal(client.seen.content().toString(), 'hello');
    assert.deepEqual(client.seen.outcome, { kind: 'ended' });
  });

  it('informational responses come first, in order', async (bench) => {
    const client = bench.open();
    client.stream.grant(plenty);
    const server = await bench.nextRequest();
    server.stream.inform({ status: 103, fields: [['x-hint', 'one']] });
    server.stream.inform({ status: 103, fields: [['x-hint', 'two']] });
    server.stream.respond(ok);
    writeAll(server.stream, pattern(10));
    await bench.until(() => client.seen.received === 10, 'the bytes');
    assert.deepEqual(client.seen.order, ['informational', 'informational', 'response', 'data']);
    assert.deepEqual(
      client.seen.heads.map((head) => [head.status, ...ours(head.fields)]),
      [
        [103, ['x-hint', 'one']],
        [103, ['x-hint', 'two']],
      ],
    );
  });

  it('a refusal brings its status, fields and content, and ends', async (bench) => {
    const client = bench.open();
    client.stream.grant(plenty);
    const server = await bench.nextRequest();
    server.stream.grant(plenty);
    server.stream.respond({ status: 403, fields: [['x-why', 'policy']] });
    writeAll(server.stream, Buffer.from('not here'));
    server.stream.end();
    await bench.until(() => client.seen.ended, 'the end of the refusal');
    client.stream.end();
    await bench.until(() => client.seen.outcome !== undefined, "the client's outcome");
    assert.equal(client.seen.head?.status, 403);
    assert.deepEqual(ours(client.seen.head?.fields ?? []), [['x-why', 'policy']]);
    assert.deepEqual(client.seen.order, ['response', 'data', 'end', 'closed']);
    assert.equal(client.seen.content().toString(), 'not here');
    assert.deepEqual(client.seen.outcome, { kind: 'ended' });
    await bench.until(() => server.seen.outcome !== undefined, "the server's outcome");
    assert.deepEqual(server.seen.outcome, { kind: 'ended' });
  });

  it(
    'after a refusal the connection takes the next request',
    async (bench) => {
      for (let round = 0; round < 3; round++) {
        const client = bench.open();
        client.stream.grant(plenty);
        const server = await bench.nextRequest();
        server.stream.respond({ status: 407, fields: [] });
        server.stream.end();
        await bench.until(() => client.seen.ended, 'the refusal');
        client.stream.end();
        await bench.until(() => client.seen.outcome !== undefined, 'its outcome');
      }
      assert.ok(bench.client.usable);
      const { client, server } = await bench.tunnel();
      writeAll(client.stream, pattern(100));
      await bench.until(() => server.seen.received === 100, 'bytes on the next stream');
    },
    { skip: !supports.multiplex && 'one stream a connection' },
  );

  it('bytes written in the same turn as the response follow it', async (bench) => {
    const sent = pattern(5000);
    const client = bench.open();
    client.stream.grant(plenty);
    const server = await bench.nextRequest();
    server.stream.respond(ok);
    writeAll(server.stream, sent);
    await bench.until(() => client.seen.received === sent.length, 'the bytes');
    assert.deepEqual(client.seen.order, ['response', 'data']);
    assert.deepEqual(client.seen.content(), Buffer.from(sent));
  });

  it('S24: bytes written before the response are not lost, and on HTTP/1.1 they wait for it', async (bench) => {
    const sent = pattern(5000);
    const client = bench.open();
    writeAll(client.stream, sent);
    const server = await bench.nextRequest();
    server.stream.grant(plenty);
    if (supports.earlyContent) {
      await bench.until(() => server.seen.received === sent.length, 'the bytes before the response');
    } else {
      await bench.quiet();
      assert.equal(server.seen.received, 0, 'RFC 9931: none before the response');
    }
    server.stream.respond(ok);
    await bench.until(() => server.seen.received === sent.length, 'the bytes');
    assert.deepEqual(server.seen.content(), Buffer.from(sent));
  });

  it(
    'a refusal arrives while the client is still sending',
    async (bench) => {
      const client = bench.open();
      client.stream.grant(plenty);
      const chunk = pattern(16 * 1024);
      let left = 4 << 20;
      const fill = (): void => {
        while (left > 0 && writeAll(client.stream, chunk)) left -= chunk.length;
      };
      client.seen.onDrain = fill;
      fill();
      const server = await bench.nextRequest();
      await bench.quiet();
      server.stream.respond({ status: 403, fields: [] });
      writeAll(server.stream, Buffer.from('not here'));
      server.stream.end();
      await bench.until(() => client.seen.ended, 'the whole refusal');
      assert.equal(client.seen.head?.status, 403);
      assert.equal(client.seen.content().toString(), 'not here');
      client.stream.reset('cancelled');
      await bench.until(() => client.seen.outcome !== undefined, "the client's outcome");
      assert.notEqual(client.seen.outcome?.kind, 'lost');
      await bench.until(() => server.seen.outcome !== undefined, "the server's outcome");
    },
    { skip: !supports.earlyContent && 'nothing is sent before the response' },
  );

  it('a response without content ends after it', async (bench) => {
    const client = bench.open();
    client.stream.grant(plenty);
    const server = await bench.nextRequest();
    server.stream.respond(ok);
    server.stream.end();
    await bench.until(() => client.seen.ended, 'the end');
    assert.deepEqual(client.seen.order.slice(0, 2), ['response', 'end']);
  });
}
