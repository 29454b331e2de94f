import assert from 'node:assert/strict';
import type { AddressInfo, Socket } from 'node:net';
import test, { type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import tls, { type TLSSocket } from 'node:tls';
import type { SocketAddress } from '../../../src/quic/address.js';
import { certificate, dialHttp1, echo, engine, extendedHead, recorder, send, serve } from '../tcp/peers.js';

const limit = { timeout: 120_000 };

/** A server that answers the first request with a text, and keeps what it got. */
async function textServer(
  t: TestContext,
  answer: string,
  then: (socket: TLSSocket, raw: Socket) => void = () => undefined,
): Promise<{ address: SocketAddress; received: () => string; ended: Promise<void> }> {
  let received = '';
  let onEnd: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    onEnd = resolve;
  });
  const server = tls.createServer(
    { cert: Buffer.from(certificate.cert), key: Buffer.from(certificate.key), ALPNProtocols: ['http/1.1'] },
    (socket) => {
      socket.on('error', () => onEnd());
      socket.on('close', () => onEnd());
      socket.on('data', (chunk: Buffer) => {
        const before = received.includes('\r\n\r\n');
        received += chunk.toString('latin1');
        if (!before && received.includes('\r\n\r\n')) {
          setTimeout(() => {
            socket.write(answer, 'latin1');
            const [raw] = raws;
            if (raw) setTimeout(then, 30, socket, raw);
          }, 30);
        }
      });
    },
  );
  const raws: Socket[] = [];
  server.prependListener('connection', (raw: Socket) => raws.push(raw));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const bound = server.address() as AddressInfo;
  return { address: { address: bound.address, port: bound.port }, received: () => received, ended };
}

const switching = (fields: string): string => `HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n`;

for (const [where, over] of [
  ['TLS of Node', undefined],
  ['TLS of the engine', engine],
] as const) {
  test(`S11: the upgrade is a GET with one Host and the fields of RFC 9298 (${where})`, limit, async (t) => {
    const server = await textServer(t, switching('Connection: Upgrade\r\nUpgrade: connect-udp\r\n'));
    const connection = await dialHttp1(t, server.address, {}, over);
    const seen = recorder();
    const stream = connection.open(
      { ...extendedHead, fields: [...extendedHead.fields, ['connection', 'close'], ['te', 'trailers']] },
      seen,
    );
    send(stream, 'early');
    assert.equal((await seen.responded).status, 200);
    const [head, content] = server.received().split('\r\n\r\n');
    assert.deepEqual(head?.split('\r\n'), [
      'GET /.well-known/masque/udp/192.0.2.1/443/ HTTP/1.1',
      'host: localhost',
      'connection: Upgrade',
      'upgrade: connect-udp',
      'capsule-protocol: ?1',
    ]);
    // S24: nothing before the response.
    assert.equal(content, '');
    while (!server.received().endsWith('\r\n\r\nearly')) await pause(5);
  });

  const bad: [string, string][] = [
    ['without Upgrade', 'Connection: Upgrade\r\n'],
    ['with another token', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'],
    ['with two tokens', 'Connection: Upgrade\r\nUpgrade: connect-udp, websocket\r\n'],
    ['without Connection', 'Upgrade: connect-udp\r\n'],
    ['with a length', 'Connection: Upgrade\r\nUpgrade: connect-udp\r\nContent-Length: 5\r\n'],
  ];
  for (const [what, fields] of bad) {
    test(`S11: the client aborts on a 101 ${what} (${where})`, limit, async (t) => {
      const server = await textServer(t, switching(fields));
      const connection = await dialHttp1(t, server.address, {}, over);
      const seen = recorder();
      const stream = connection.open(extendedHead, seen);
      stream.grant(1_000);
      const outcome = await stream.closed;
      assert.equal(outcome.kind, 'reset', JSON.stringify(outcome));
      assert.equal(outcome.reason, 'message-error');
      assert.equal(seen.responses.length, 0);
      await server.ended;
      assert.equal(connection.usable, false);
    });
  }

  test(`S11: a 200 to an upgrade is no tunnel (${where})`, limit, async (t) => {
    const server = await textServer(t, 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
    const connection = await dialHttp1(t, server.address, {}, over);
    const seen = recorder();
    const outcome = await connection.open(extendedHead, seen).closed;
    assert.equal(outcome.kind === 'reset' && outcome.reason, 'message-error');
    assert.equal(seen.responses.length, 0);
  });

  test(`S24: a refused upgrade leaves the connection usable (${where})`, limit, async (t) => {
    const served = await serve(t, (stream, seen) => {
      if (served.streams.length > 3) {
        echo(stream, seen);
        return;
      }
      stream.respond({ status: 407, fields: [['x-n', `${served.streams.length}`]] });
      send(stream, 'why');
      stream.end();
    });
    const connection = await dialHttp1(t, served.listener.localAddress, {}, over);
    for (let round = 1; round <= 3; round += 1) {
      const seen = recorder();
      const refusedStream = connection.open(extendedHead, seen);
      refusedStream.grant(100);
      assert.equal(connection.usable, false);
      assert.deepEqual(await refusedStream.closed, { kind: 'ended' });
      assert.equal(seen.bytes().toString(), 'why');
      assert.equal(seen.responses[0]?.status, 407);
      await pause(5);
      assert.equal(connection.usable, true);
    }
    const seen = recorder();
    const stream = connection.open(extendedHead, seen);
    stream.grant(100);
    send(stream, 'tunnel');
    await seen.responded;
    stream.end();
    assert.deepEqual(await stream.closed, { kind: 'ended' });
    assert.equal(seen.bytes().toString(), 'tunnel');
    assert.equal(served.connections.length, 1);
    assert.equal(connection.usable, false);
  });

  test(`S24: a refused CONNECT closes the connection (${where})`, limit, async (t) => {
    for (const fields of [[], [['content-length', '3']]] as const) {
      const served = await serve(t, (stream) => {
        stream.respond({ status: 407, fields });
        send(stream, 'why');
        stream.end();
      });
      const connection = await dialHttp1(t, served.listener.localAddress, {}, over);
      const seen = recorder();
      const stream = connection.open({ kind: 'connect', authority: 'a.example:443', fields: [] }, seen);
      stream.grant(100);
      send(stream, 'optimistic');
      assert.deepEqual(await stream.closed, { kind: 'ended' });
      assert.equal(seen.bytes().toString(), 'why');
      assert.equal(connection.usable, false);
      await connection.closed;
      assert.equal(served.streams[0]?.seen.bytes().length, 0);
    }
  });

  test(`a response head over the limit is a loss, not a crash (${where})`, limit, async (t) => {
    const server = await textServer(t, `HTTP/1.1 403 No\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`);
    const connection = await dialHttp1(t, server.address, {}, over);
    const outcome = await connection.open(extendedHead, recorder()).closed;
    assert.equal(outcome.kind, 'lost');
  });

  const page = { ...extendedHead, kind: 'plain', method: 'GET', path: '/' } as const;

  test(
    `content up to the end of the connection is whole behind close_notify only (${where})`,
    limit,
    async (t) => {
      for (const [end, outcome] of [
        [(socket: TLSSocket) => socket.end(), 'ended'],
        [(_socket: TLSSocket, raw: Socket) => raw.end(), 'lost'],
      ] as const) {
        const server = await textServer(t, 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ncontent', end);
        const connection = await dialHttp1(t, server.address, {}, over);
        const seen = recorder();
        const stream = connection.open(page, seen);
        stream.grant(1_000);
        stream.end();
        assert.equal((await stream.closed).kind, outcome);
        assert.equal(seen.bytes().toString(), 'content');
        assert.equal(seen.ends, outcome === 'ended' ? 1 : 0);
      }
    },
  );

  test(`content with a length is whole, however the connection ends (${where})`, limit, async (t) => {
    const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\ncontent';
    const server = await textServer(t, answer, (_socket, raw) => raw.end());
    const connection = await dialHttp1(t, server.address, {}, over);
    const seen = recorder();
    const stream = connection.open(page, seen);
    stream.grant(1_000);
    stream.end();
    assert.deepEqual(await stream.closed, { kind: 'ended' });
  });
}
