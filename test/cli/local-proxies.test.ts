import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { failures } from '../../src/protocol/failures.js';
import { startTestProxy } from '../client/test-proxy.js';
import { freePort } from '../free-port.js';
import {
  type BautaProcess,
  runBauta,
  startBauta,
  startProxyProcess,
  temporaryDirectory,
} from './run-bauta.js';

const limit = { timeout: 120_000 };

/** An origin on loopback that says `hello`. */
async function startOrigin(): Promise<number> {
  const server = http.createServer((_, response) => response.end('hello'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

interface Ready {
  readonly proxies: readonly {
    readonly kind: string;
    readonly local: { readonly address: string; readonly port: number };
  }[];
  readonly forwards: readonly { readonly network: string; readonly local: { readonly port: number } }[];
}

async function ready(client: BautaProcess): Promise<Ready> {
  return (await client.event('ready')) as unknown as Ready;
}

/** The answer to a request in absolute form through an HTTP proxy on this port. */
async function fetchBy(proxyPort: number, url: string, user?: string): Promise<string> {
  const request = http.get({
    host: '127.0.0.1',
    port: proxyPort,
    path: url,
    agent: false,
    headers: {
      host: new URL(url).host,
      ...(user ? { 'proxy-authorization': `Basic ${Buffer.from(user).toString('base64')}` } : {}),
    },
  });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let text = String(response.statusCode);
  for await (const chunk of response) text += ` ${chunk}`;
  return text;
}

test('--mixed, --socks, --http-proxy and --tcp: each on its port, with the local user', limit, async () => {
  const origin = await startOrigin();
  await using proxy = await startTestProxy();
  await using client = startBauta(
    [
      ...['client', proxy.link, '--mixed', 'localhost:0', '--socks', '0', '--http-proxy', '[::1]:0'],
      ...['--http-proxy', '0', '--tcp', `0=127.0.0.1:${origin}`, '--json', '--verbose'],
    ],
    { environment: { BAUTA_LOCAL_USER: 'me:here' } },
  );
  const { proxies, forwards } = await ready(client);
  assert.deepEqual(
    proxies.map(({ kind, local }) => `${kind} ${local.address}`),
    ['mixed 127.0.0.1', 'mixed ::1', 'socks 127.0.0.1', 'http-proxy ::1', 'http-proxy 127.0.0.1'],
  );
  const url = `http://127.0.0.1:${origin}/`;
  for (const index of [0, 4]) {
    const port = proxies[index]?.local.port ?? 0;
    assert.equal(await fetchBy(port, url, 'me:here'), '200 hello');
    assert.match(await fetchBy(port, url, 'me:there'), /^407/);
    assert.match(await fetchBy(port, url), /^407/);
  }
  const forwarded = await fetch(`http://127.0.0.1:${forwards[0]?.local.port}/`);
  assert.equal(await forwarded.text(), 'hello');
  assert.doesNotMatch(client.out() + client.err(), /here|secret/);
  client.child.kill('SIGTERM');
  assert.equal((await client.finished).exit, 0);
});

test('a proxy that goes and comes back: local ports stay, a request waits for it', limit, async () => {
  const origin = await startOrigin();
  await using state = await temporaryDirectory();
  const first = await startProxyProcess(state.path);
  await using client = startBauta(['client', first.link, '--mixed', '0', '--versions', '2', '--json']);
  const port = (await ready(client)).proxies[0]?.local.port ?? 0;
  const url = `http://127.0.0.1:${origin}/`;
  assert.equal(await fetchBy(port, url), '200 hello');
  first.bauta.child.kill('SIGKILL');
  await first.bauta.finished;
  await client.event('disconnected');
  const waiting = fetchBy(port, url);
  await using second = startBauta([
    ...['proxy', '--listen', `127.0.0.1:${first.port}`, '--state-dir', state.path, '--json'],
    ...['--user', 'user:secret', '--allow-target', '127.0.0.0/8'],
  ]);
  await second.event('listening');
  assert.equal(await waiting, '200 hello');
});

test('ERR_PORT_IN_USE, ERR_ADDRESS_UNAVAILABLE: the port of a local proxy cannot be had', limit, async () => {
  await using proxy = await startTestProxy();
  const server = http.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => server.close());
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  for (const [option, local, code] of [
    ['--mixed', String(address.port), 'ERR_PORT_IN_USE'],
    ['--tcp', `${address.port}=127.0.0.1:9`, 'ERR_PORT_IN_USE'],
    ['--socks', '192.0.2.1:0', 'ERR_ADDRESS_UNAVAILABLE'],
  ] as const) {
    const { exit, err } = await runBauta(
      ['client', proxy.link, option, local, '--local-user', 'a:b'].filter(
        (word) => option !== '--tcp' || !/^(--local-user|a:b)$/.test(word),
      ),
    );
    assert.equal(exit, failures[code].exit, err);
    assert.ok(err.includes(code) && err.includes('try:'), err);
  }
});

test('exec: the command finds the proxy, its exit code is passed on, nothing is said', limit, async () => {
  const origin = await startOrigin();
  await using proxy = await startTestProxy();
  const script = `
    import http from 'node:http';
    const proxy = new URL(process.env.http_proxy);
    for (const name of ['HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY'])
      if (process.env[name] !== proxy.href.slice(0, -1)) throw new Error(name);
    const socks = new URL(process.env.all_proxy);
    if (socks.protocol !== 'socks5h:' || socks.port !== proxy.port || socks.password !== proxy.password)
      throw new Error('all_proxy');
    if ('no_proxy' in process.env || 'NO_PROXY' in process.env || 'BAUTA_PROXY' in process.env)
      throw new Error('no_proxy');
    const headers = { 'proxy-authorization': 'Basic ' + btoa(proxy.username + ':' + proxy.password) };
    http.get({ host: proxy.hostname, port: proxy.port, path: process.argv[1], headers, agent: false }, (response) => {
      response.on('data', (chunk) => process.stdout.write(chunk)).on('end', () => process.exit(42));
    });`;
  const command = [process.execPath, '--input-type=module', '-e', script, `http://127.0.0.1:${origin}/`];
  const { exit, out, err } = await runBauta(['exec', '--', ...command], {
    environment: { BAUTA_PROXY: proxy.link, no_proxy: '127.0.0.1', NO_PROXY: '*' },
  });
  assert.deepEqual([exit, out, err], [42, 'hello', '']);
});

test('exec: standard input reaches the command, options behind -- are its own', limit, async () => {
  await using proxy = await startTestProxy();
  const script =
    'process.stdin.on("data", (text) => console.log(process.argv.slice(1).join(" "), String(text)))';
  const { exit, out } = await runBauta(
    ['exec', proxy.link, '--', process.execPath, '-e', script, 'x', '--help', '--json', '--', '-v'],
    { input: 'typed' },
  );
  assert.deepEqual([exit, out], [0, 'x --help --json -- -v typed\n']);
});

test('exec: a signal goes to the command, whose end by a signal is told as shells do', limit, async () => {
  await using proxy = await startTestProxy();
  const asleep = ['--', process.execPath, '-e', 'console.log("up"); setInterval(() => {}, 1000)'];
  await using bauta = startBauta(['exec', proxy.link, ...asleep]);
  await bauta.said(/up/);
  bauta.child.kill('SIGTERM');
  assert.equal((await bauta.finished).exit, 128 + 15);
});

test('exec: what fails before the command starts has the exit codes of the error table', limit, async () => {
  await using proxy = await startTestProxy();
  const never = ['--', process.execPath, '-e', 'console.log("started")'];
  for (const [args, code] of [
    [['exec', proxy.link.replace('secret', 'guessed'), ...never], 'ERR_CREDENTIALS'],
    [['exec', 'nonsense', ...never], 'ERR_LINK'],
    [['exec', ...never], 'ERR_USAGE'],
    [['exec', proxy.link], 'ERR_USAGE'],
    [['exec', proxy.link, '--'], 'ERR_USAGE'],
    [['exec', proxy.link, 'curl', 'https://a.example'], 'ERR_USAGE'],
    [
      ['exec', `https://a:b@127.0.0.1:${await freePort('tcp')}/`, '--timeout', '2', ...never],
      'ERR_PROXY_UNREACHABLE',
    ],
  ] as const) {
    const { exit, out, err } = await runBauta(args);
    assert.equal(exit, failures[code].exit, err);
    assert.ok(err.includes(code), err);
    assert.equal(out, '');
  }
  const unknown = await runBauta(['exec', proxy.link.replace(/#.*/, ''), ...never]);
  assert.match(unknown.err, /bauta exec '\S+#pin=\S+' -- /);
  const missing = await runBauta(['exec', proxy.link, '--', '/nowhere/at-all']);
  assert.equal(missing.exit, 127);
  assert.match(missing.err, /no such command/);
});

test('the port is closed with the command: nothing stays behind', limit, async () => {
  await using proxy = await startTestProxy();
  const { out } = await runBauta([
    ...[
      'exec',
      proxy.link,
      '--',
      process.execPath,
      '-e',
      'console.log(new URL(process.env.http_proxy).port)',
    ],
  ]);
  const socket = connect(Number(out), '127.0.0.1');
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNREFUSED');
});
