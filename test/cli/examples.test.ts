import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createSecureServer } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import { publicKeyPin } from '../../src/ops/public-key-pin.js';
import { selfSigned } from '../../src/quic/native/index.js';
import { startEcho } from '../client/echo-server.js';
import { startRedis, withoutRedis } from '../client/redis-server.js';
import { startTestProxy } from '../client/test-proxy.js';
import { startBauta, temporaryDirectory } from './run-bauta.js';

const folder = new URL('../../examples/', import.meta.url);
const example = (name: string): string => fileURLToPath(new URL(name, folder));

test('examples: a program with a proxy in it, and one that sends a datagram through it', {
  timeout: 120_000,
}, async () => {
  await using echo = await startEcho();
  await using directory = await temporaryDirectory();
  const tls = selfSigned(['127.0.0.1'], 1);
  await writeFile(directory.file('cert.pem'), tls.cert);
  await writeFile(directory.file('key.pem'), tls.key);

  const proxy = spawn(process.execPath, [
    example('proxy-in-a-program.js'),
    directory.file('cert.pem'),
    directory.file('key.pem'),
    '127.0.0.1:0',
  ]);
  proxy.stdout.setEncoding('utf8');
  let said = '';
  proxy.stdout.on('data', (text: string) => {
    said += text;
  });
  proxy.stderr.pipe(process.stderr);
  while (!said.includes('listening')) await once(proxy.stdout, 'data');
  const port = /port (\d+)/.exec(said)?.[1];

  await using client = startBauta([echo.target, 'a question'], {
    main: example('udp-through-proxy.js'),
    environment: { BAUTA_PROXY: `https://ann:example@127.0.0.1:${port}/#pin=${publicKeyPin(tls.cert)}` },
  });
  const { exit, out, err } = await client.finished;
  assert.deepEqual([exit, out, err], [0, 'a question from 127.0.0.1 over h3\n', '']);
  assert.match(said, /ann opened a tunnel over h3/);
  proxy.stdin.end();
  assert.deepEqual(await once(proxy, 'exit'), [0, null]);
});

test('examples: fetch, undici and a WebSocket through a proxy', { timeout: 120_000 }, async () => {
  await using proxy = await startTestProxy();
  await using directory = await temporaryDirectory();
  const run = async (name: string, ...values: readonly string[]): Promise<unknown> => {
    await using program = startBauta(values, {
      main: example(name),
      environment: { BAUTA_PROXY: proxy.link },
    });
    return await program.finished;
  };
  const tls = selfSigned(['127.0.0.1'], 1);
  await writeFile(directory.file('ca.pem'), tls.cert);
  const page = createServer((_, response) => response.end('a page'));
  const securePage = createSecureServer({ ...tls, allowHTTP1: true }, (request, response) => {
    response.end(`over HTTP/${request.httpVersion}`);
  });
  const sockets = new WebSocketServer({ server: page });
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`${data} echoed`)));
  const listening = async (server: Server): Promise<number> => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const port = await listening(page);
  const securePort = await listening(securePage);
  try {
    assert.deepEqual(await run('fetch-through-proxy.js', `http://127.0.0.1:${port}/`), {
      exit: 0,
      out: '200 a page\n',
      err: '',
    });
    const url = `https://127.0.0.1:${securePort}/`;
    assert.deepEqual(await run('undici-through-proxy.js', url, directory.file('ca.pem')), {
      exit: 0,
      out: '200 13 bytes\n'.repeat(10),
      err: '',
    });
    assert.deepEqual(await run('websocket-through-proxy.js', `ws://127.0.0.1:${port}/`, 'a word'), {
      exit: 0,
      out: 'a word echoed\n',
      err: '',
    });
  } finally {
    page.close();
    securePage.close();
  }
});

test('examples: Redis through a proxy', { timeout: 120_000, skip: withoutRedis ?? false }, async () => {
  await using proxy = await startTestProxy();
  await using redis = await startRedis();
  await using program = startBauta([redis.target, 'kept'], {
    main: example('redis-through-proxy.js'),
    environment: { BAUTA_PROXY: proxy.link },
  });
  assert.deepEqual(await program.finished, { exit: 0, out: 'kept\n', err: '' });
});

test('examples: each one is run by a test', async () => {
  const programs = (await readdir(folder)).filter((name) => name.endsWith('.js'));
  assert.deepEqual(programs.sort(), [
    'fetch-through-proxy.js',
    'proxy-in-a-program.js',
    'redis-through-proxy.js',
    'udp-through-proxy.js',
    'undici-through-proxy.js',
    'websocket-through-proxy.js',
  ]);
});

test('examples without arguments tell how they are used', { timeout: 120_000 }, async () => {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.js'));
  assert.ok(names.length > 0);
  for (const name of names) {
    await using program = startBauta([], { main: example(name) });
    const { exit, out, err } = await program.finished;
    assert.deepEqual([exit, out], [2, ''], name);
    assert.ok(err.startsWith('usage: ') && err.includes(`node dist/examples/${name} `), err);
    assert.equal(err.trim().split('\n').length, 1, err);
  }
});
