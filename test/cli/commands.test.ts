import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cp, mkdir, readFile, symlink } from 'node:fs/promises';
import { createSecureServer } from 'node:http2';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { commands } from '../../src/cli/commands.js';
import { failures } from '../../src/protocol/failures.js';
import { selfSigned, spkiPin } from '../../src/quic/native/index.js';
import { startEcho } from '../client/echo-server.js';
import { startTestProxy } from '../client/test-proxy.js';
import { runBauta, temporaryDirectory } from './run-bauta.js';

const limit = { timeout: 120_000 };
const root = new URL('../../../', import.meta.url);

test('demo: echo, proxy and client over all three versions within 20 s', limit, async () => {
  const since = performance.now();
  const { exit, out } = await runBauta(['demo', '--json']);
  assert.equal(exit, 0, out);
  assert.ok(performance.now() - since < 20_000);
  const events = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const results = events.filter(({ event }) => event === 'result');
  assert.deepEqual(
    results.map(({ version }) => version),
    ['h3', 'h2', 'h1'],
  );
  for (const { datagrams } of results) assert.ok(Number(datagrams) > 100);
});

test('--help: each command shows its options and examples, and exits with 0', limit, async () => {
  const overview = await runBauta(['--help']);
  assert.equal(overview.exit, 0);
  for (const { table } of commands) {
    assert.ok(overview.out.includes(`  ${table.name} `), table.name);
    const { exit, out } = await runBauta([table.name, '--help']);
    assert.equal(exit, 0);
    for (const option of table.options) assert.ok(out.includes(`--${option.name}`), option.name);
    assert.match(out, /Examples:/);
    assert.ok(
      out.split('\n').every((line) => line.length <= 110),
      `a long line in:\n${out}`,
    );
  }
});

test('without a command, or with an unknown one, the exit is 2', limit, async () => {
  const nothing = await runBauta([]);
  assert.deepEqual([nothing.exit, nothing.out, nothing.err.includes('Commands:')], [2, '', true]);
  assert.match(nothing.err, /^bauta: no command was given\n/);
  const typo = await runBauta(['docter']);
  assert.equal(typo.exit, 2);
  assert.match(typo.err, /Did you mean bauta doctor\?/);
  assert.match((await runBauta(['--nothing'])).err, /ERR_USAGE/);
  const link = await runBauta(['https://name:secret@host/']);
  assert.deepEqual(
    [link.exit, link.err.includes('secret')],
    [2, false],
    'a forgotten command shows no password',
  );
});

test('--version is that of the package', limit, async () => {
  const { version } = JSON.parse(await readFile(new URL('package.json', root), 'utf8')) as {
    version: string;
  };
  const { exit, out } = await runBauta(['--version']);
  assert.deepEqual([exit, out], [0, `${version}\n`]);
});

test('completion: the scripts name every command and option, and bash takes its own', limit, async () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { exit, out } = await runBauta(['completion', shell]);
    assert.equal(exit, 0);
    for (const { table } of commands) {
      assert.ok(out.includes(table.name));
      for (const option of table.options) assert.ok(out.includes(option.name), `${shell} ${option.name}`);
    }
    if (shell !== 'bash') continue;
    const asked = `${out}\nCOMP_WORDS=(bauta proxy --lis); COMP_CWORD=2; _bauta; echo "\${COMPREPLY[@]}"`;
    const bash = spawnSync('bash', ['-c', asked], { encoding: 'utf8' });
    assert.deepEqual([bash.stdout.trim(), bash.stderr], ['--listen', '']);
  }
  assert.equal((await runBauta(['completion', 'csh'])).exit, 2);
});

test('doctor: a proxy that works, over each version, with a target', limit, async () => {
  await using echo = await startEcho();
  await using proxy = await startTestProxy();
  const { exit, out } = await runBauta(['doctor', proxy.link, '--target', echo.target]);
  assert.equal(exit, 0, out);
  for (const part of [
    'HTTP/3 tunnel',
    'HTTP/2 tunnel',
    'HTTP/1.1 tunnel',
    'as pinned',
    'HTTP datagrams',
    'round trip',
  ]) {
    assert.ok(out.includes(part), `${part} is missing from:\n${out}`);
  }
  assert.doesNotMatch(out, /FAIL|secret/);
});

test('doctor: a TCP target too; a refused one is not the end of the proxy', limit, async () => {
  const server = createServer((socket) => socket.on('error', () => undefined).end()).listen(0, '127.0.0.1');
  await new Promise<void>((resolve) => server.once('listening', resolve));
  try {
    await using proxy = await startTestProxy();
    const { port } = server.address() as AddressInfo;
    const works = await runBauta(['doctor', proxy.link, '--target', `127.0.0.1:${port}`]);
    assert.equal(works.exit, 0, works.out);
    assert.equal(works.out.match(/^ok .* tunnel +TCP to .*by connect-tcp$/gm)?.length, 3, works.out);
    const refused = await runBauta(['doctor', proxy.link, '--target', '10.0.0.1:80']);
    assert.equal(refused.exit, failures.ERR_TARGET_REFUSED.exit, refused.out);
    assert.equal(refused.out.match(/^FAIL .* tunnel +(UDP|TCP) to 10\.0\.0\.1:80/gm)?.length, 6, refused.out);
    assert.match(refused.out, /can be used from here, but not for this target\.\n$/);
  } finally {
    server.close();
  }
});

test('ERR_CREDENTIALS: doctor tells a wrong password from everything else', limit, async () => {
  await using proxy = await startTestProxy();
  const { exit, out } = await runBauta(['doctor', proxy.link.replace('secret', 'guessed'), '--json']);
  assert.equal(exit, failures.ERR_CREDENTIALS.exit, out);
  const checks = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const verdict = (name: string) => checks.find((check) => check['name'] === name)?.['verdict'];
  assert.deepEqual(
    ['UDP', 'TCP', 'HTTP/3', 'HTTP/2', 'HTTP/3 login', 'HTTP/2 login', 'HTTP/1.1 login'].map(verdict),
    ['ok', 'ok', 'ok', 'ok', 'failed', 'failed', 'failed'],
  );
  assert.doesNotMatch(out, /guessed/);
});

test('a site that knows no tunnels is no proxy that accepts the credentials', limit, async (t) => {
  const tls = selfSigned(['127.0.0.1'], 1);
  const site = createSecureServer({ ...tls, settings: { enableConnectProtocol: true } });
  t.after(() => site.close());
  site.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 501 }, { endStream: true });
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  const { port } = site.address() as AddressInfo;
  const link = `https://a:b@127.0.0.1:${port}/#pin=${spkiPin(tls.cert)}`;
  const { exit, out } = await runBauta(['doctor', link, '--versions', '2']);
  assert.equal(exit, failures.ERR_PROTOCOL_UNSUPPORTED.exit, out);
  assert.match(out, /FAIL {2}HTTP\/2 login .*501/);
  assert.doesNotMatch(out, /accepts the credentials/);
});

test(
  'ERR_PIN_MISMATCH: doctor tells a wrong pin for each certificate, and tries no version with it',
  limit,
  async () => {
    await using proxy = await startTestProxy();
    const wrong = proxy.link.replace(proxy.pin, `sha256-${'B'.repeat(43)}`);
    const { exit, out } = await runBauta(['doctor', wrong]);
    assert.equal(exit, failures.ERR_PIN_MISMATCH.exit, out);
    assert.equal(out.match(/^FAIL/gm)?.length, 2, out);
    assert.equal(out.match(/^skip .*not with this public key/gm)?.length, 3, out);
  },
);

test('a hint names the command that was typed, not a placeholder', limit, async () => {
  const { exit, err } = await runBauta([
    'client',
    'https://a:b@127.0.0.1:1/',
    '--tcp',
    'nobody:1=a.example:1',
  ]);
  assert.equal(exit, 2);
  assert.match(err, /try: {2}bauta client --help/);
  const json = await runBauta([
    'client',
    'https://a:b@127.0.0.1:1/',
    '--tcp',
    'nobody:1=a.example:1',
    '--json',
  ]);
  assert.equal((JSON.parse(json.out) as { hint: string }).hint, 'bauta client --help');
});

test('ERR_CERTIFICATE_UNKNOWN: doctor shows the pin and the command that accepts it', limit, async () => {
  await using proxy = await startTestProxy();
  const { exit, out } = await runBauta(['doctor', proxy.link.replace(/#.*/, '')]);
  assert.equal(exit, failures.ERR_CERTIFICATE_UNKNOWN.exit, out);
  assert.ok(out.includes(`bauta doctor 'https://user:***@127.0.0.1:${proxy.port}/#pin=${proxy.pin}'`), out);
});

test('ERR_PROXY_UNREACHABLE: doctor on a port where nobody listens', limit, async () => {
  const { exit, out } = await runBauta(['doctor', 'https://a:b@127.0.0.1:1/', '--timeout', '1', '--json']);
  assert.equal(exit, 3, out);
  assert.match(out, /ECONNREFUSED/);
});

test('ERR_NATIVE_ENGINE: a package without the engine for this platform', limit, async () => {
  await using directory = await temporaryDirectory();
  await mkdir(directory.file('dist'));
  await cp(fileURLToPath(new URL('../../src', import.meta.url)), directory.file('dist/src'), {
    recursive: true,
  });
  await symlink(fileURLToPath(new URL('node_modules', root)), directory.file('node_modules'));
  await cp(fileURLToPath(new URL('package.json', root)), directory.file('package.json'));
  const main = directory.file('dist/src/cli/main.js');
  const { exit, err } = await runBauta(['demo'], { main });
  assert.equal(exit, failures.ERR_NATIVE_ENGINE.exit, err);
  assert.match(err, /ERR_NATIVE_ENGINE/);
});
