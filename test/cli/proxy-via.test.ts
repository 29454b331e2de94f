import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { connect } from '../../src/client/connect.js';
import { runBauta, startBauta, temporaryDirectory } from './run-bauta.js';

const limit = { timeout: 120_000 };

test(
  'C1: bauta proxy --via forwards, with a pin and with --via-ca, and shows no password',
  limit,
  async () => {
    await using directory = await temporaryDirectory();
    const common = ['proxy', '--listen', '127.0.0.1:0', '--json', '--allow-target', '127.0.0.0/8'];
    await using exit = startBauta([
      ...common,
      '--state-dir',
      directory.file('exit'),
      '--user',
      'exit:exit-secret',
    ]);
    const at = await exit.event('listening');
    const pinned = String(at['link']).replace('https://', 'https://exit:exit-secret@');
    const echo = createSocket('udp4', (message, from) => echo.send(message, from.port, from.address));
    echo.bind(0, '127.0.0.1');
    await once(echo, 'listening');

    const roots = ['--via-ca', directory.file('exit/certificate.pem')];
    assert.match(await readFile(directory.file('exit/certificate.pem'), 'utf8'), /BEGIN CERTIFICATE/);
    for (const [name, via] of [
      ['pin', ['--via', pinned]],
      ['ca', ['--via', pinned.replace(/#.*/, ''), ...roots]],
    ] as const) {
      const state = ['--state-dir', directory.file(name), '--user', 'entry:entry-secret'];
      await using entry = startBauta([...common, ...state, '--verbose', ...via]);
      const listening = await entry.event('listening');
      assert.match(String(listening['via']), /^127\.0\.0\.1:\d+$/);
      assert.ok(!JSON.stringify(listening).includes('exit-secret'));
      const link = String(listening['link']).replace('https://', 'https://entry:entry-secret@');
      const client = await connect(link);
      const tunnel = await client.openUdp({ host: '127.0.0.1', port: echo.address().port });
      tunnel.send('through both');
      const [message] = await once(tunnel, 'message');
      assert.equal(String(message), 'through both');
      await entry.event('hop-connected');
      await client.close();
      entry.child.kill('SIGTERM');
      assert.equal((await entry.finished).exit, 0);
    }
    echo.close();
  },
);

test('SIGHUP: the roots of the next hop are read again while a tunnel runs', limit, async () => {
  await using directory = await temporaryDirectory();
  const common = ['proxy', '--json', '--no-auth', '--allow-target', '127.0.0.0/8'];
  const exitAt = (listen: string, state: string) =>
    startBauta([...common, '--listen', listen, '--state-dir', directory.file(state)]);
  const echo = createSocket('udp4', (message, from) => echo.send(message, from.port, from.address));
  echo.bind(0, '127.0.0.1');
  await once(echo, 'listening');
  const target = { host: '127.0.0.1', port: echo.address().port };

  await using exit = exitAt('127.0.0.1:0', 'exit');
  const at = String((await exit.event('listening'))['link']).replace(/#.*/, '');
  const roots = directory.file('roots.pem');
  await copyFile(directory.file('exit/certificate.pem'), roots);
  await using entry = startBauta([
    ...[...common, '--listen', '127.0.0.1:0', '--state-dir', directory.file('entry')],
    ...['--via', at, '--via-ca', roots],
  ]);
  const client = await connect(String((await entry.event('listening'))['link']));
  const running = await client.openUdp(target);
  running.send('one');
  await once(running, 'message');

  // Another proxy, with another certificate, takes the place of the exit.
  const { port } = new URL(at);
  await using second = exitAt('127.0.0.1:0', 'other');
  await second.event('listening');
  await writeFile(roots, 'nonsense');
  entry.child.kill('SIGHUP');
  const failed = await entry.event('reload-failed');
  assert.deepEqual([failed['what'], failed['code']], ['via', 'ERR_CERTIFICATE_FILE']);
  await copyFile(directory.file('other/certificate.pem'), roots);
  entry.child.kill('SIGHUP');
  assert.equal((await entry.event('reloaded'))['what'], 'via');
  running.send('still');
  assert.equal(String((await once(running, 'message'))[0]), 'still');
  // New tunnels trust the new roots only, with which the running exit has nothing to do.
  await assert.rejects(client.openUdp(target), /certificate/i);
  exit.child.kill('SIGKILL');
  await exit.finished;
  await using back = exitAt(`127.0.0.1:${port}`, 'other');
  await back.event('listening');
  const again = await client.openUdp(target);
  again.send('two');
  assert.equal(String((await once(again, 'message'))[0]), 'two');
  await client.close();
  echo.close();
});

test('C8: --check with --via judges the target and resolves no name', limit, async () => {
  const via = ['--via', 'https://user:secret@127.0.0.1:1/'];
  const name = await runBauta(['proxy', ...via, '--check', 'missing.invalid:53']);
  assert.equal(name.exit, 0);
  assert.match(name.out, /allowed, via 127\.0\.0\.1:1/);
  const address = await runBauta(['proxy', ...via, '--check', '10.0.0.1:53', '--json']);
  assert.equal(address.exit, 6);
  const bad = await runBauta([
    'proxy',
    '--via',
    'http://user:secret@127.0.0.1/',
    '--listen',
    '127.0.0.1:0',
    '--no-auth',
  ]);
  assert.equal(bad.exit, 2);
  assert.match(bad.err, /ERR_LINK/);
  assert.ok(!bad.err.includes('secret'));
  const lonely = await runBauta(['proxy', '--via-ca', 'roots.pem']);
  assert.match(lonely.err, /ERR_USAGE/);
  const help = await runBauta(['proxy', '--help']);
  assert.match(help.out, /--via LINK/);
});
