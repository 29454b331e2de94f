import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { connect } from '../../src/client/connect.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { newestConnectTcp } from '../../src/protocol/connect-tcp.js';
import { failure, until } from './chain-hop.js';
import { startScriptedServer } from './scripted-server.js';
import { serveTcpTo } from './tcp-serving.js';
import { startTcpEcho, startTcpTarget } from './tcp-target.js';
import { startTestProxy } from './test-proxy.js';

const limit = { timeout: 120_000 };
const versions = ['h3', 'h2', 'h1'] as const;
const forms = ['connect-tcp', 'connect'] as const;

async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

for (const version of versions) {
  for (const tcp of forms) {
    const over = `${tcp} over ${version}`;
    const options = { versions: [version], tcp } as const;

    test(`${over}: bytes both ways, the end by this side first`, limit, async () => {
      await using echo = await startTcpEcho();
      await using proxy = await startTestProxy();
      await using client = await connect(proxy.link, options);
      const tunnel = await client.openTcp(echo.target);
      assert.deepEqual(
        [tunnel.remoteAddress, tunnel.remotePort, tunnel.remoteFamily],
        ['127.0.0.1', echo.port, 'IPv4'],
      );
      assert.equal(client.info().tunnels, 1);
      const data = randomBytes(3_000_000);
      const hash = createHash('sha256');
      const reading = pipeline(tunnel, async (chunks: AsyncIterable<Buffer>) => {
        for await (const chunk of chunks) hash.update(chunk);
      });
      tunnel.end(data);
      await reading;
      assert.equal(hash.digest('hex'), createHash('sha256').update(data).digest('hex'));
      assert.deepEqual(await tunnel.outcome, { kind: 'ended' });
      assert.deepEqual([tunnel.bytesRead, tunnel.bytesWritten], [data.length, data.length]);
      await until(() => client.info().tunnels === 0, 'it is not counted any more');
    });

    test(`${over}: the end by the target first, and this side writes on`, limit, async () => {
      let late = '';
      await using target = await startTcpTarget((socket) => {
        socket.end('the target has said all');
        socket.on('data', (bytes) => {
          late += String(bytes);
        });
      });
      await using proxy = await startTestProxy();
      await using client = await connect(proxy.link, options);
      const tunnel = await client.openTcp(target.target, { allowHalfOpen: true });
      assert.equal(await textOf(tunnel.iterator({ destroyOnReturn: false })), 'the target has said all');
      assert.ok(!tunnel.destroyed && tunnel.writable);
      tunnel.write('and still ');
      tunnel.end('listens');
      assert.deepEqual(await tunnel.outcome, { kind: 'ended' });
      await until(() => late === 'and still listens', 'all of it came');
      // As a socket of `net.connect`: without the option it ends with the target.
      const other = await client.openTcp(target.target);
      assert.equal(await textOf(other), 'the target has said all');
      assert.deepEqual(await other.outcome, { kind: 'ended' });
    });

    test(`ERR_TUNNEL_RESET: ${over}, the target resets`, limit, async () => {
      await using target = await startTcpTarget((socket) => {
        socket.once('data', () => socket.resetAndDestroy());
      });
      await using proxy = await startTestProxy();
      await using client = await connect(proxy.link, options);
      const tunnel = await client.openTcp(target.target);
      tunnel.write('x');
      const [error] = await once(tunnel, 'error');
      assert.ok(error instanceof BautaError);
      const end = await tunnel.outcome;
      if (version === 'h1') {
        // HTTP/1.1 has one way to say it.
        assert.ok(end.kind === 'lost' || (end.kind === 'reset' && end.by === 'peer'), end.kind);
      } else {
        assert.equal(error.code, 'ERR_TUNNEL_RESET');
        assert.deepEqual(end, { kind: 'reset', by: 'peer', reason: 'connect-error' });
      }
    });

    for (const [how, cut] of [
      ['destroy', (tunnel: { destroy(): unknown }) => tunnel.destroy()],
      ['resetAndDestroy', (tunnel: { resetAndDestroy(): unknown }) => tunnel.resetAndDestroy()],
    ] as const) {
      test(`${over}: ${how} resets the target`, limit, async () => {
        const errors: string[] = [];
        await using target = await startTcpTarget((socket) => {
          socket.resume();
          socket.on('error', (error: NodeJS.ErrnoException) => errors.push(String(error.code)));
        });
        await using proxy = await startTestProxy();
        await using client = await connect(proxy.link, options);
        const tunnel = await client.openTcp(target.target);
        tunnel.write('x');
        await until(() => target.sockets[0]?.bytesRead === 1, 'the byte came');
        cut(tunnel);
        assert.deepEqual(await tunnel.outcome, { kind: 'reset', by: 'local', reason: 'cancelled' });
        await until(() => errors.length > 0, 'the target hears of it');
        assert.deepEqual(errors, ['ECONNRESET']);
      });
    }

    test(`ERR_CONNECTION_LOST: ${over}, the connection goes in the middle`, limit, async () => {
      await using echo = await startTcpEcho();
      await using server = await startScriptedServer(
        () => undefined,
        undefined,
        (stream, connection) => {
          const form =
            tcp === 'connect'
              ? ({ kind: tcp } as const)
              : ({ kind: tcp, revision: newestConnectTcp } as const);
          const handler = serveTcpTo(echo.target, stream, form);
          return {
            ...handler,
            data(bytes, start, end) {
              if (Buffer.from(bytes.slice(start, end)).includes('lose me')) connection.close('shutdown');
              else handler.data(bytes, start, end);
            },
          };
        },
      );
      await using client = await connect(server.link, options);
      const tunnel = await client.openTcp(echo.target);
      tunnel.write('x');
      assert.equal(String((await once(tunnel, 'data'))[0]), 'x');
      let ended = false;
      tunnel.on('end', () => {
        ended = true;
      });
      tunnel.write('lose me');
      if (version === 'h1' && tcp === 'connect') {
        // A bare end is all that HTTP/1.1 has to say here.
        tunnel.on('error', () => undefined);
        await once(tunnel, 'end').catch(() => undefined);
        return;
      }
      const [error] = await once(tunnel, 'error');
      assert.ok(error instanceof BautaError && error.code === 'ERR_CONNECTION_LOST', String(error));
      const end = await tunnel.outcome;
      assert.ok(end.kind === 'lost' && end.error.code === 'ERR_CONNECTION_LOST');
      assert.ok(!ended);
    });

    test(`${over}: what the proxy has against a target`, limit, async () => {
      await using proxy = await startTestProxy();
      await using client = await connect(proxy.link, options);
      await using gone = await startTcpTarget(() => undefined);
      const { target } = gone;
      gone.server.close();
      await once(gone.server, 'close');
      await assert.rejects(client.openTcp(target), failure('ERR_TARGET_CLOSED', undefined));
      gone.server.listen(0, '127.0.0.1');
      await assert.rejects(client.openTcp('10.0.0.1:80'), failure('ERR_TARGET_REFUSED', undefined));
      await assert.rejects(client.openTcp('nobody.invalid:80'), (error) => {
        assert.ok(error instanceof BautaError && error.code === 'ERR_TARGET_NAME', String(error));
        assert.match(String(error.proxyStatus), /dns_error/);
        return true;
      });
      await assert.rejects(client.openTcp('nowhere'), failure('ERR_TARGET_SYNTAX', undefined));
      await using stranger = await connect(proxy.link.replace(':secret@', ':guess@'), options);
      await assert.rejects(stranger.openTcp(target), failure('ERR_CREDENTIALS', undefined));
      assert.equal(client.info().tunnels, 0);
    });

    test(
      `${over}: closing the client lets tunnels end by themselves for a while, and cuts off the rest`,
      limit,
      async () => {
        const errors: string[] = [];
        await using target = await startTcpTarget((socket) => {
          socket.on('error', (error: NodeJS.ErrnoException) => errors.push(String(error.code)));
          socket.on('data', (bytes) => socket.write(bytes));
          socket.on('end', () => socket.end());
        });
        await using proxy = await startTestProxy();
        const client = await connect(proxy.link, options);
        const tunnel = await client.openTcp(target.target);
        tunnel.write('a');
        await once(tunnel, 'data');
        const closing = client.close({ drain: 10_000 });
        await assert.rejects(client.openTcp(target.target), failure('ERR_CLOSED', undefined));
        tunnel.end('z');
        assert.equal(await textOf(tunnel), 'z');
        await closing;
        assert.deepEqual([await client.closed, await tunnel.outcome], [{ drained: true }, { kind: 'ended' }]);

        const other = await connect(proxy.link, options);
        const cut = await other.openTcp(target.target);
        cut.write('a');
        await once(cut, 'data');
        await other.close();
        assert.deepEqual(await other.closed, { drained: false });
        assert.deepEqual(await cut.outcome, { kind: 'reset', by: 'local', reason: 'cancelled' });
        await until(() => errors.length > 0, 'the target hears of it');
        assert.deepEqual(errors, ['ECONNRESET']);
      },
    );
  }

  test(`${version}: an IPv6 target, and a name that the proxy resolves`, limit, async () => {
    await using echo = await startTcpEcho('::1');
    await using proxy = await startTestProxy({ targets: { allow: ['::1/128', '127.0.0.0/8'] } });
    await using client = await connect(proxy.link, { versions: [version] });
    for (const target of [echo.target, { host: '::1', port: echo.port }, `localhost:${echo.port}`]) {
      await using tunnel = await client.openTcp(target);
      tunnel.end('six');
      assert.equal(await textOf(tunnel), 'six');
      assert.equal(tunnel.remoteAddress, '::1');
    }
  });
}

test('ERR_ABORTED, ERR_TIMEOUT: opening a tunnel can be ended', limit, async () => {
  await using server = await startScriptedServer(() => undefined);
  for (const version of versions) {
    await using client = await connect(server.link, { versions: [version] });
    const abort = new AbortController();
    const opening = client.openTcp('127.0.0.1:9', { signal: abort.signal });
    abort.abort();
    await assert.rejects(opening, failure('ERR_ABORTED', undefined));
    const late = client.openTcp('127.0.0.1:9', { timeout: 200 });
    await assert.rejects(late, failure('ERR_PROXY_TIMEOUT', undefined));
  }
});

test('a tunnel does what programs ask of a socket', limit, async () => {
  await using echo = await startTcpEcho();
  await using proxy = await startTestProxy();
  await using client = await connect(proxy.link);
  {
    await using tunnel = await client.openTcp(echo.target);
    assert.equal(tunnel.setNoDelay(true).setKeepAlive(true, 1_000).ref().unref().ref(), tunnel);
    tunnel.setTimeout(50);
    await once(tunnel, 'timeout');
    tunnel.write('still open');
    assert.equal(String((await once(tunnel, 'data'))[0]), 'still open');
  }
  assert.equal(client.info().tunnels, 0);
});

test('a hundred tunnels at once, each with its own bytes', limit, async () => {
  await using echo = await startTcpEcho();
  await using proxy = await startTestProxy();
  for (const version of versions) {
    await using client = await connect(proxy.link, { versions: [version] });
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, number) => {
        const tunnel = await client.openTcp(echo.target);
        tunnel.end(`tunnel ${number}`);
        return textOf(tunnel);
      }),
    );
    assert.deepEqual(
      answers,
      Array.from({ length: 100 }, (_, number) => `tunnel ${number}`),
    );
  }
});
