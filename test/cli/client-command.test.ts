import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { test } from 'node:test';
import type { ErrorCode } from '../../src/protocol/failures.js';
import { failures } from '../../src/protocol/failures.js';
import type { ProxyEvent } from '../../src/proxy/events.js';
import { startEcho } from '../client/echo-server.js';
import { startTestProxy } from '../client/test-proxy.js';
import { runBauta, startBauta, startProxyProcess, temporaryDirectory } from './run-bauta.js';

const limit = { timeout: 120_000 };

interface Ready {
  readonly version: string;
  readonly forwards: readonly { readonly local: { readonly address: string; readonly port: number } }[];
}

/** Sends to a local port until an answer comes; what it was. */
async function ask(port: number, text: string, patience = 60_000): Promise<string> {
  const socket = createSocket('udp4');
  socket.on('error', () => undefined);
  const again = setInterval(() => socket.send(text, port, '127.0.0.1'), 200);
  const limitTimer = setTimeout(() => socket.close(), patience);
  socket.send(text, port, '127.0.0.1');
  try {
    const [answer] = (await Promise.race([
      once(socket, 'message'),
      once(socket, 'close').then(() => ['nothing']),
    ])) as [Buffer | string];
    return String(answer);
  } finally {
    clearInterval(again);
    clearTimeout(limitTimer);
    try {
      socket.close();
    } catch {
      // It is closed already.
    }
  }
}

async function fails(code: ErrorCode, args: readonly string[], options: { input?: string } = {}) {
  const result = await runBauta(['client', ...args], options);
  assert.equal(result.exit, failures[code].exit, result.out + result.err);
  assert.ok(result.err.includes(code), result.err);
  return result;
}

for (const version of ['3', '2', '1']) {
  test(
    `--udp over --versions ${version}: local datagrams reach the target, each peer by itself`,
    limit,
    async () => {
      await using echo = await startEcho();
      await using proxy = await startTestProxy();
      await using client = startBauta([
        ...['client', proxy.link, '--udp', `0=${echo.target}`, '--udp', `[::1]:0=${echo.target}`],
        ...['--versions', version, '--json', '--verbose'],
      ]);
      const ready = (await client.event('ready')) as unknown as Ready;
      assert.equal(ready.version, `h${version}`);
      assert.deepEqual(
        ready.forwards.map(({ local }) => local.address),
        ['127.0.0.1', '::1'],
      );
      const port = ready.forwards[0]?.local.port ?? 0;
      const answers = await Promise.all(['one', 'two', 'three'].map((text) => ask(port, text)));
      assert.deepEqual(answers, ['one', 'two', 'three']);
      assert.equal(client.out().split('"tunnel-opened"').length - 1, 3);
      client.child.kill('SIGTERM');
      assert.equal((await client.finished).exit, 0);
    },
  );
}

test('C6: --proxy twice: nested, the first proxy sees only the second', limit, async () => {
  const seen: ProxyEvent[] = [];
  await using echo = await startEcho();
  await using near = await startTestProxy({ onEvent: (event) => seen.push(event) });
  await using far = await startTestProxy();
  await using client = startBauta([
    ...['client', '--proxy', near.link, '--proxy', far.link],
    ...['--udp', `0=${echo.target}`, '--json', '--verbose'],
  ]);
  const ready = (await client.event('ready')) as unknown as Ready;
  assert.equal(await ask(ready.forwards[0]?.local.port ?? 0, 'nested'), 'nested');
  const targets = seen.flatMap((event) => (event.event === 'tunnel-opened' ? [event.target.port] : []));
  assert.deepEqual(targets, [far.port]);
  const attempts = client
    .out()
    .split('\n')
    .filter((line) => line.includes('"attempt"'))
    .map((line) => JSON.parse(line) as { hop: number; version: string; outcome: string });
  assert.deepEqual(
    attempts.filter(({ outcome }) => outcome === 'won').map(({ hop, version }) => [hop, version]),
    [
      [0, 'h3'],
      [1, 'h3'],
    ],
  );
});

test('C6: --proxy: the hop that fails is told, and mistakes before anything is tried', limit, async () => {
  await using near = await startTestProxy();
  await using far = await startTestProxy();
  const bare = far.link.replace(/#.*/, '');
  const udp = ['--udp', '0=127.0.0.1:9'];
  const unknown = await fails('ERR_CERTIFICATE_UNKNOWN', ['--proxy', near.link, '--proxy', bare, ...udp]);
  assert.match(unknown.err, /hop 2/);
  assert.ok(unknown.err.includes(far.pin));
  assert.doesNotMatch(unknown.out + unknown.err, /secret/);
  await fails('ERR_USAGE', [near.link, '--proxy', far.link, ...udp]);
  await fails('ERR_LINK', ['--proxy', near.link, '--proxy', 'nonsense', ...udp]);
});

test('a proxy that goes and comes back: the local port stays and carries again', limit, async () => {
  await using echo = await startEcho();
  await using state = await temporaryDirectory();
  const first = await startProxyProcess(state.path);
  await using client = startBauta([
    'client',
    first.link,
    '--udp',
    `0=${echo.target}`,
    '--versions',
    '2',
    '--json',
  ]);
  const ready = (await client.event('ready')) as unknown as Ready;
  const port = ready.forwards[0]?.local.port ?? 0;
  assert.equal(await ask(port, 'before'), 'before');
  first.bauta.child.kill('SIGKILL');
  await first.bauta.finished;
  await client.event('disconnected');
  const received = echo.received;
  assert.equal(await ask(port, 'meanwhile', 700), 'nothing');
  assert.equal(echo.received, received, 'a datagram went around the proxy');
  await using second = startBauta([
    ...['proxy', '--listen', `127.0.0.1:${first.port}`, '--state-dir', state.path, '--json'],
    ...['--user', 'user:secret', '--allow-target', '127.0.0.0/8'],
  ]);
  await second.event('listening');
  assert.equal(await ask(port, 'after'), 'after');
});

test('ERR_CREDENTIALS: a wrong password ends it at the start', limit, async () => {
  await using proxy = await startTestProxy();
  const wrong = proxy.link.replace('secret', 'guessed');
  const { out, err } = await fails('ERR_CREDENTIALS', [wrong, '--udp', '0=127.0.0.1:9']);
  assert.doesNotMatch(out + err, /guessed/);
});

test('ERR_PIN_MISMATCH: a wrong pin ends it at the start', limit, async () => {
  await using proxy = await startTestProxy();
  const wrong = proxy.link.replace(proxy.pin, `sha256-${'B'.repeat(43)}`);
  const { err } = await fails('ERR_PIN_MISMATCH', [wrong, '--udp', '0=127.0.0.1:9']);
  assert.ok(err.includes(proxy.pin));
});

test('ERR_CERTIFICATE_UNKNOWN: the pin is shown, and the command that accepts it works', limit, async () => {
  await using echo = await startEcho();
  await using proxy = await startTestProxy();
  const bare = proxy.link.replace(/#.*/, '');
  const { err, out } = await fails('ERR_CERTIFICATE_UNKNOWN', [bare, '--udp', `0=${echo.target}`]);
  assert.ok(err.includes(proxy.pin));
  assert.doesNotMatch(out + err, /secret/);
  const command = /bauta (client --udp \S+) '(\S+)'/.exec(err);
  assert.ok(command, err);
  const [, words = '', link = ''] = command;
  await using accepted = startBauta([...words.split(' '), link.replace('***', 'secret'), '--json']);
  await accepted.event('ready');
});

test('ERR_PROXY_UNREACHABLE: nobody listens there', limit, async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  server.close();
  await once(server, 'close');
  const link = `https://a:b@127.0.0.1:${address.port}/`;
  const { err } = await fails('ERR_PROXY_UNREACHABLE', [link, '--udp', '0=127.0.0.1:9', '--timeout', '1']);
  assert.match(err, /ECONNREFUSED/);
});

test('ERR_PROXY_TIMEOUT: somebody holds the port and says nothing', limit, async () => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const link = `https://a:b@127.0.0.1:${socket.address().port}/`;
  await fails('ERR_PROXY_TIMEOUT', [link, '--udp', '0=127.0.0.1:9', '--timeout', '0.5', '--versions', '3']);
  socket.close();
});

test('ERR_PROXY_NAME: a name that nobody has', limit, async () => {
  await fails('ERR_PROXY_NAME', ['https://a:b@nobody.invalid:4433/', '--udp', '0=127.0.0.1:9']);
});

test(
  'ERR_LINK, ERR_USAGE, ERR_TARGET_SYNTAX, ERR_OPEN_PROXY: mistakes are told before anything is tried',
  limit,
  async () => {
    const link = 'https://a:b@127.0.0.1:1/';
    await fails('ERR_LINK', ['nonsense', '--udp', '0=127.0.0.1:9']);
    await fails('ERR_USAGE', [link, '--mixed', 'somewhere']);
    await fails('ERR_USAGE', [link, '--socks', 'name.example:1080']);
    await fails('ERR_USAGE', [link, '--tcp', '8080']);
    await fails('ERR_TARGET_SYNTAX', [link, '--tcp', '8080=a.example']);
    await fails('ERR_USAGE', [link, '--local-user', 'me']);
    await fails('ERR_USAGE', [link, '--local-user', 'me:secret', '--tcp', '0=127.0.0.1:9']);
    await fails('ERR_USAGE', [link, '--associate-address', 'a.example']);
    await fails('ERR_USAGE', ['--udp', '0=127.0.0.1:9']);
    await fails('ERR_USAGE', [link, '--udp', 'somewhere']);
    await fails('ERR_USAGE', [link, '--udp', '70000=127.0.0.1:9']);
    await fails('ERR_USAGE', [link, '--udp', '0=127.0.0.1:9', '--versions', '4']);
    await fails('ERR_USAGE', [link, '--congestion', 'reno']);
    await fails('ERR_USAGE', [link, '--sock', '1080']);
    for (const option of ['--mixed', '--socks', '--http-proxy']) {
      const open = await fails('ERR_OPEN_PROXY', [link, option, '0.0.0.0:0', '--open-to-everyone']);
      assert.match(open.err, /--local-user NAME:PASSWORD/);
    }
    await fails('ERR_OPEN_PROXY', [link, '--tcp', '*:0=127.0.0.1:9']);
    await fails('ERR_TARGET_SYNTAX', [link, '--udp', '0=127.0.0.1']);
    await fails('ERR_OPEN_PROXY', [link, '--udp', '0.0.0.0:0=127.0.0.1:9']);
    await fails('ERR_OPEN_PROXY', [link, '--udp', '*:0=127.0.0.1:9']);
  },
);

test('ERR_PORT_IN_USE: the local port is taken', limit, async () => {
  await using proxy = await startTestProxy();
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  await fails('ERR_PORT_IN_USE', [proxy.link, '--udp', `${socket.address().port}=127.0.0.1:9`]);
  socket.close();
});

test('the link comes from BAUTA_PROXY or standard input, the roots from --ca', limit, async () => {
  await using proxy = await startTestProxy();
  await using directory = await temporaryDirectory();
  await writeFile(directory.file('ca.pem'), proxy.tls.cert);
  await using fromEnvironment = startBauta(['client', '--udp', '0=127.0.0.1:9', '--json'], {
    environment: { BAUTA_PROXY: proxy.link },
  });
  await fromEnvironment.event('ready');
  await using fromInput = startBauta(
    ['client', '-', '--udp', '0=127.0.0.1:9', '--json', '--ca', directory.file('ca.pem')],
    { input: `${proxy.link.replace(/#.*/, '')}\n` },
  );
  await fromInput.event('ready');
  await fails('ERR_CERTIFICATE_FILE', [proxy.link, '--udp', '0=127.0.0.1:9', '--ca', directory.file('none')]);
});

test('a target that is refused is told and does not end the command', limit, async () => {
  await using proxy = await startTestProxy();
  await using client = startBauta(['client', proxy.link, '--udp', '0=10.0.0.1:53']);
  await client.said(/for 10\.0\.0\.1:53, which has no tunnel yet: ERR_TARGET_REFUSED/);
  assert.doesNotMatch(client.out(), /leads to/);
  await client.said(/10\.0\.0\.1:53: .*ERR_TARGET_REFUSED/);
});

test('the end that was asked for is no loss: nothing is said of it', limit, async () => {
  await using proxy = await startTestProxy();
  await using client = startBauta(['client', proxy.link, '--udp', '0=127.0.0.1:9']);
  await client.said(/leads to/);
  client.child.kill('SIGTERM');
  const { exit, err } = await client.finished;
  assert.equal(exit, 0);
  assert.doesNotMatch(err, /gone|lost/);
});
