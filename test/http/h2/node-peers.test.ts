import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { SocketAddress } from '../../../src/quic/address.js';
import { pattern } from '../conformance/bench.js';
import { certificate, echo, extendedHead, type Recorder, recorder, send } from '../tcp/peers.js';
import { grounds } from './servers.js';

const limit = { timeout: 120_000 };
const size = 3_000_000;

/** Node's client, once the server's SETTINGS came. */
async function nodeClient(t: TestContext, remote: SocketAddress): Promise<ClientHttp2Session> {
  const session = http2.connect(`https://localhost:${remote.port}`, { ca: Buffer.from(certificate.cert) });
  t.after(() => session.destroy());
  session.on('error', () => undefined);
  await once(session, 'remoteSettings');
  return session;
}

const extended = {
  ':method': 'CONNECT',
  ':protocol': 'connect-udp',
  ':scheme': 'https',
  ':authority': 'localhost',
  ':path': '/.well-known/masque/udp/192.0.2.1/443/',
};

async function content(stream: ClientHttp2Stream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

interface NodeServer {
  readonly address: SocketAddress;
  readonly sessions: http2.ServerHttp2Session[];
}

async function nodeServer(
  t: TestContext,
  onStream: (stream: ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
): Promise<NodeServer> {
  const sessions: http2.ServerHttp2Session[] = [];
  const server = http2.createSecureServer({
    cert: Buffer.from(certificate.cert),
    key: Buffer.from(certificate.key),
    settings: { enableConnectProtocol: true, maxConcurrentStreams: 50 },
  });
  server.on('session', (session) => sessions.push(session));
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    onStream(stream, headers);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  const bound = server.address() as AddressInfo;
  return { address: { address: bound.address, port: bound.port }, sessions };
}

const plain = (method: string) =>
  ({ kind: 'plain', method, scheme: 'https', authority: 'localhost', path: '/', fields: [] }) as const;

for (const { name, serve, dial: dialHttp2 } of grounds) {
  test(
    `Node's client: a request with content and trailers, an answer with hints and content (${name})`,
    limit,
    async (t) => {
      const served = await serve(t, (stream, seen) => {
        stream.grant(1_000);
        stream.inform({ status: 103, fields: [['x-hint', 'a']] });
        seen.end = () => {
          seen.ends += 1;
          stream.respond({
            status: 200,
            fields: [
              ['x-two', 'a'],
              ['x-two', 'b'],
            ],
          });
          send(stream, 'the answer');
          stream.end();
        };
      });
      const session = await nodeClient(t, served.listener.localAddress);
      assert.equal(session.remoteSettings.enableConnectProtocol, true);
      assert.equal(session.remoteSettings.maxConcurrentStreams, 1_024);
      assert.equal(session.remoteSettings.maxHeaderListSize, 32 * 1024);
      const request = session.request(
        { ':method': 'POST', ':path': '/p?q', 'content-length': '11', 'x-a': 'b' },
        { waitForTrailers: true },
      );
      request.on('wantTrailers', () => request.sendTrailers({ 'x-trailer': '1' }));
      const hints: unknown[] = [];
      request.on('headers', (headers) => hints.push(headers['x-hint']));
      request.write('the ');
      request.end('request');
      const [headers] = await once(request, 'response');
      assert.equal(headers[':status'], 200);
      assert.equal(headers['x-two'], 'a, b');
      assert.deepEqual(hints, ['a']);
      assert.equal((await content(request)).toString(), 'the answer');
      const [one] = served.streams;
      assert.equal(one?.seen.bytes().toString(), 'the request');
      assert.equal(one?.seen.ends, 1);
      const head = one?.stream.request;
      assert.ok(head?.kind === 'plain');
      assert.deepEqual([head.method, head.path, head.scheme], ['POST', '/p?q', 'https']);
      assert.deepEqual(
        head.fields.filter(([name]) => name.startsWith('x-')),
        [['x-a', 'b']],
      );
      assert.deepEqual(await one?.stream.closed, { kind: 'ended' });
    },
  );

  test(`Node's client: answers without content to HEAD, and with 204 and 304 (${name})`, limit, async (t) => {
    const served = await serve(t, (stream) => {
      const head = stream.request;
      const status = head.kind === 'plain' && head.path !== '/' ? Number(head.path.slice(1)) : 200;
      stream.respond({ status, fields: [['content-length', status === 204 ? '0' : '100']] });
      stream.end();
    });
    const session = await nodeClient(t, served.listener.localAddress);
    for (const [method, path] of [
      ['HEAD', '/'],
      ['GET', '/204'],
      ['GET', '/304'],
    ] as const) {
      const request = session.request({ ':method': method, ':path': path });
      request.end();
      await once(request, 'response');
      assert.equal((await content(request)).length, 0);
      assert.equal(request.rstCode, 0);
    }
    for (const { stream } of served.streams) assert.deepEqual(await stream.closed, { kind: 'ended' });
  });

  test(
    `Node's client: tunnels by classic and extended CONNECT, with megabytes both ways (${name})`,
    limit,
    async (t) => {
      const served = await serve(t, echo);
      const session = await nodeClient(t, served.listener.localAddress);
      const sent = Buffer.from(pattern(size));
      for (const head of [{ ':method': 'CONNECT', ':authority': 'a.example:443' }, extended]) {
        const request = session.request(head, { endStream: false });
        await once(request, 'response');
        const received = content(request);
        request.end(sent);
        assert.ok((await received).equals(sent));
      }
      const [classic, other] = served.streams;
      assert.deepEqual(classic?.stream.request, { kind: 'connect', authority: 'a.example:443', fields: [] });
      assert.equal(other?.stream.request.kind, 'extended');
      for (const { stream } of served.streams) assert.deepEqual(await stream.closed, { kind: 'ended' });
    },
  );

  test(`Node's client: resets either way keep their codes (${name})`, limit, async (t) => {
    const served = await serve(t, (stream) => {
      stream.grant(100);
      stream.respond({ status: 200, fields: [] });
      if (stream.id === 3) stream.reset('connect-error');
    });
    const session = await nodeClient(t, served.listener.localAddress);
    const first = session.request(extended, { endStream: false });
    first.on('error', () => undefined);
    await once(first, 'response');
    first.close(http2.constants.NGHTTP2_CANCEL);
    assert.deepEqual(await served.streams[0]?.stream.closed, {
      kind: 'reset',
      by: 'peer',
      reason: 'cancelled',
      code: 8,
      version: 'h2',
    });
    const second = session.request(extended, { endStream: false });
    second.on('error', () => undefined);
    await new Promise((resolve) => second.on('close', resolve));
    assert.equal(second.rstCode, 0xa);
  });

  test(`Node's client: a drained connection ends after its last stream (${name})`, limit, async (t) => {
    const served = await serve(t, echo);
    const session = await nodeClient(t, served.listener.localAddress);
    const request = session.request(extended, { endStream: false });
    await once(request, 'response');
    const goaway = once(session, 'goaway');
    served.connections[0]?.drain();
    assert.equal((await goaway)[0], 0);
    request.end('to the end');
    assert.equal((await content(request)).toString(), 'to the end');
    assert.equal((await served.connections[0]?.closed)?.reason, 'closed');
  });

  test(`Node's server: content, hints and trailers of an answer (${name})`, limit, async (t) => {
    const server = await nodeServer(t, (stream) => {
      assert.equal(stream.pushAllowed, false);
      stream.additionalHeaders({ ':status': 103, 'x-hint': 'a' });
      stream.respond({ ':status': 201, 'x-a': 'b' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-trailer': '1' }));
      stream.pipe(stream);
    });
    const connection = await dialHttp2(t, server.address);
    assert.equal(connection.settings.maxStreams, 50);
    const seen = recorder();
    const stream = connection.open(plain('POST'), seen);
    stream.grant(1_000);
    send(stream, 'back and forth');
    stream.end();
    assert.deepEqual(await stream.closed, { kind: 'ended' });
    assert.equal(seen.bytes().toString(), 'back and forth');
    assert.deepEqual(
      seen.informed.map(({ status, fields }) => [status, ...fields]),
      [[103, ['x-hint', 'a']]],
    );
    assert.equal(seen.responses[0]?.status, 201);
    assert.ok(seen.responses[0]?.fields.some(([name, value]) => name === 'x-a' && value === 'b'));
  });

  test(`Node's server: tunnels with megabytes both ways (${name})`, limit, async (t) => {
    const server = await nodeServer(t, (stream, headers) => {
      assert.equal(headers[':method'], 'CONNECT');
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
    const connection = await dialHttp2(t, server.address);
    const sent = pattern(size);
    for (const head of [{ kind: 'connect', authority: 'a.example:443', fields: [] } as const, extendedHead]) {
      const seen = recorder();
      const stream = connection.open(head, seen);
      seen.drain = () => fill();
      let at = 0;
      const fill = (): void => {
        while (at < size) {
          const from = at;
          at = Math.min(size, at + 16_384);
          if (!stream.write(sent, from, at)) break;
        }
        if (at === size) stream.end();
      };
      stream.grant(size);
      fill();
      assert.deepEqual(await stream.closed, { kind: 'ended' });
      assert.ok(seen.bytes().equals(sent));
    }
  });

  test(`Node's server: resets either way keep their codes (${name})`, limit, async (t) => {
    const codes: number[] = [];
    const server = await nodeServer(t, (stream) => {
      stream.on('close', () => codes.push(stream.rstCode));
      stream.respond({ ':status': 200 });
      if (stream.id === 1) stream.close(http2.constants.NGHTTP2_CONNECT_ERROR);
    });
    const connection = await dialHttp2(t, server.address);
    const first = await connection.open(extendedHead, recorder()).closed;
    assert.deepEqual([first.kind, first.kind === 'reset' && first.code], ['reset', 0xa]);
    const seen = recorder();
    const second = connection.open(extendedHead, seen);
    await seen.responded;
    second.reset('cancelled');
    while (codes.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(codes, [0xa, 0x8]);
  });

  test(
    `Node's server: a closing session lets the tunnel run and takes no more (${name})`,
    limit,
    async (t) => {
      const server = await nodeServer(t, (stream) => {
        stream.respond({ ':status': 200 });
        stream.pipe(stream);
      });
      let draining = 0;
      const connection = await dialHttp2(t, server.address, {
        draining() {
          draining += 1;
        },
      });
      const seen: Recorder = recorder();
      const stream = connection.open(extendedHead, seen);
      stream.grant(1_000);
      await seen.responded;
      server.sessions[0]?.close();
      while (connection.usable) await new Promise((resolve) => setTimeout(resolve, 5));
      const late = await connection.open(extendedHead, recorder()).closed;
      assert.equal(late.kind, 'lost');
      send(stream, 'runs on');
      stream.end();
      assert.deepEqual(await stream.closed, { kind: 'ended' });
      assert.equal(seen.bytes().toString(), 'runs on');
      assert.equal((await connection.closed).reason, 'peer-closed');
      assert.equal(draining, 1);
    },
  );
}
