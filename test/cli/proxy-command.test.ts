import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { connect } from '../../src/client/connect.js';
import { publicKeyPin } from '../../src/ops/public-key-pin.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { ErrorCode } from '../../src/protocol/failures.js';
import { failures } from '../../src/protocol/failures.js';
import { selfSigned } from '../../src/quic/native/index.js';
import { startEcho } from '../client/echo-server.js';
import { runBauta, startBauta, startProxyProcess, temporaryDirectory } from './run-bauta.js';

const limit = { timeout: 120_000 };

/** Runs a proxy that must refuse to start, both ways of telling. */
async function refused(code: ErrorCode, args: readonly string[]) {
  await using state = await temporaryDirectory();
  const environment = { XDG_STATE_HOME: state.path };
  const json = await runBauta(['proxy', ...args, '--json'], { environment });
  assert.equal(json.exit, failures[code].exit, json.out + json.err);
  const object = JSON.parse(json.out) as Record<string, unknown>;
  assert.deepEqual([object['event'], object['code']], ['error', code]);
  const human = await runBauta(['proxy', ...args], { environment });
  assert.equal(human.exit, failures[code].exit);
  assert.ok(human.err.includes(failures[code].sentence) && human.err.includes(code), human.err);
  return human;
}

test(
  'the first start makes a certificate and a user, keeps both private, and later starts keep them',
  limit,
  async () => {
    await using state = await temporaryDirectory();
    const args = ['proxy', '--listen', 'localhost:0', '--state-dir', state.file('made/here')];
    const seen: string[] = [];
    for (const start of ['first', 'second']) {
      await using proxy = startBauta(args);
      await proxy.said(/npx bauta doctor .*\n/);
      const out = proxy.out();
      for (const part of [
        'listening on',
        'reachable from',
        'this machine only',
        'targets',
        'public addresses',
        'link',
      ]) {
        assert.ok(out.includes(part), `${part} is missing from:\n${out}`);
      }
      const secret = (await readFile(state.file('made/here/user'), 'utf8')).trim().split(':')[1] ?? '';
      assert.ok(secret.length >= 20);
      assert.ok(
        !out.includes(secret),
        `${start} start: the password is shown although nobody sits at a terminal`,
      );
      const tried = await runBauta(['doctor', '-', '--versions', '2'], {
        input: await readFile(state.file('made/here/link'), 'utf8'),
      });
      assert.equal(tried.exit, 0, tried.out);
      assert.ok(out.includes(`npx bauta doctor - < '${state.file('made/here/link')}'`));
      seen.push(/pin=(sha256-[\w-]{43})/.exec(out)?.[1] ?? '');
      proxy.child.kill('SIGTERM');
      const { exit, err } = await proxy.finished;
      assert.deepEqual([exit, err], [0, '']);
    }
    assert.ok(seen[0] && seen[0] === seen[1]);
    assert.equal((await stat(state.file('made/here'))).mode & 0o777, 0o700);
    for (const name of await readdir(state.file('made/here'))) {
      assert.equal((await stat(state.file(`made/here/${name}`))).mode & 0o777, 0o600, name);
    }
  },
);

test(
  '--json: the first line says listening once all listeners accept, and has no password',
  limit,
  async () => {
    await using echo = await startEcho();
    await using state = await temporaryDirectory();
    await using proxy = startBauta([
      'proxy',
      '--listen',
      'localhost:0',
      '--state-dir',
      state.path,
      '--allow-target',
      '127.0.0.1',
      '--json',
    ]);
    const listening = await proxy.event('listening');
    assert.equal(proxy.out().split('\n')[0], JSON.stringify(listening));
    const secret = (await readFile(state.file('user'), 'utf8')).trim();
    assert.ok(!proxy.out().includes(secret.split(':')[1] ?? 'nothing'));
    const link = String(listening['link']).replace('https://', `https://${secret}@`);
    for (const version of ['h3', 'h2', 'h1'] as const) {
      await using client = await connect(link, { versions: [version] });
      await using tunnel = await client.openUdp(echo.target);
      assert.ok(tunnel.maxDatagramSize > 0);
    }
  },
);

test('a loose state directory is made private', limit, async () => {
  await using state = await temporaryDirectory();
  await chmod(state.path, 0o755);
  const proxy = await startProxyProcess(state.path);
  await using _ = proxy.bauta;
  assert.equal((await stat(state.path)).mode & 0o777, 0o700);
});

test('SIGTERM: open tunnels end within the drain time and the exit is 0', limit, async () => {
  await using echo = await startEcho();
  await using state = await temporaryDirectory();
  const proxy = await startProxyProcess(state.path, '--drain-timeout', '1');
  await using bauta = proxy.bauta;
  const clients = await Promise.all(
    (['h3', 'h2', 'h1'] as const).map((version) => connect(proxy.link, { versions: [version] })),
  );
  const tunnels = await Promise.all(clients.map((client) => client.openUdp(echo.target)));
  const since = performance.now();
  bauta.child.kill('SIGTERM');
  await bauta.event('draining');
  // Open tunnels still carry.
  for (const tunnel of tunnels) {
    const arrived = once(tunnel, 'message');
    tunnel.send('still here');
    assert.equal(String((await arrived)[0]), 'still here');
  }
  const { exit } = await bauta.finished;
  const took = performance.now() - since;
  assert.equal(exit, 0);
  assert.ok(took >= 900 && took < 20_000, `${took} ms`);
  await Promise.all(tunnels.map((tunnel) => tunnel.closed));
  await Promise.all(clients.map((client) => client.close()));
});

test('--user-file - reads the users from standard input, where no other user sees them', limit, async () => {
  await using echo = await startEcho();
  await using state = await temporaryDirectory();
  const args = ['proxy', '--listen', '127.0.0.1:0', '--json', '--state-dir', state.path, '--user-file', '-'];
  await using bauta = startBauta([...args, '--allow-target', '127.0.0.1'], { input: 'ann:from input\n' });
  const { link } = await bauta.event('listening');
  const withUser = String(link).replace('//', '//ann:from%20input@');
  await using client = await connect(withUser, { versions: ['h2'] });
  await (await client.openUdp(echo.target)).close().closed;
  const none = await runBauta(args, { input: '# nobody\n' });
  assert.equal(none.exit, 2);
  assert.match(none.out, /standard input holds no NAME:PASSWORD/);
});

test('a second SIGINT does not wait for the drain time', limit, async () => {
  await using echo = await startEcho();
  await using state = await temporaryDirectory();
  const proxy = await startProxyProcess(state.path, '--drain-timeout', '60');
  await using bauta = proxy.bauta;
  await using client = await connect(proxy.link);
  await client.openUdp(echo.target);
  bauta.child.kill('SIGINT');
  await bauta.event('draining');
  bauta.child.kill('SIGINT');
  assert.equal((await bauta.finished).exit, 0);
});

test('SIGHUP: users and certificate are read again while a tunnel runs', limit, async () => {
  await using echo = await startEcho();
  await using directory = await temporaryDirectory();
  const [before, after] = [selfSigned(['127.0.0.1'], 2), selfSigned(['127.0.0.1'], 2)];
  const write = async (tls: { cert: string; key: string }, users: string): Promise<void> => {
    await writeFile(directory.file('cert.pem'), tls.cert);
    await writeFile(directory.file('key.pem'), tls.key);
    await writeFile(directory.file('users'), users);
  };
  await write(before, '# people\nann:one\n');
  await using bauta = startBauta([
    ...['proxy', '--listen', '127.0.0.1:0', '--json', '--allow-target', '127.0.0.1'],
    ...['--cert', directory.file('cert.pem'), '--key', directory.file('key.pem')],
    ...['--user-file', directory.file('users')],
  ]);
  const listening = await bauta.event('listening');
  const link = (user: string, tls: { cert: string }) =>
    `https://${user}@127.0.0.1:${(listening['addresses'] as { port: number }[])[0]?.port}/#pin=${publicKeyPin(tls.cert)}`;
  await using old = await connect(link('ann:one', before));
  const tunnel = await old.openUdp(echo.target);

  await write(after, 'bob:two\n');
  bauta.child.kill('SIGHUP');
  while (bauta.out().split('"reloaded"').length < 3)
    await bauta.event('reloaded').then(() => new Promise((r) => setTimeout(r, 20)));

  const arrived = once(tunnel, 'message');
  tunnel.send('still here');
  assert.equal(String((await arrived)[0]), 'still here');
  for (const version of ['h3', 'h2', 'h1'] as const) {
    await using fresh = await connect(link('bob:two', after), { versions: [version] });
    await using opened = await fresh.openUdp(echo.target);
    assert.ok(opened.maxDatagramSize > 0);
  }
  await assert.rejects(
    old.openUdp(echo.target),
    (error) => error instanceof BautaError && error.code === 'ERR_CREDENTIALS',
  );

  await writeFile(directory.file('cert.pem'), 'nonsense');
  bauta.child.kill('SIGHUP');
  const failed = await bauta.event('reload-failed');
  assert.deepEqual([failed['what'], failed['code']], ['certificate', 'ERR_CERTIFICATE_FILE']);
  await using still = await connect(link('bob:two', after));
  assert.equal(still.info().state, 'connected');
});

test('ERR_USAGE: mistakes on the command line', limit, async () => {
  const typo = await refused('ERR_USAGE', ['--lisen', 'localhost:0']);
  assert.match(typo.err, /Did you mean --listen\?/);
  await refused('ERR_USAGE', ['--listen', 'nothing']);
  await refused('ERR_USAGE', ['--public-address', '300.1.1.1', '--listen', 'localhost:0']);
  await refused('ERR_USAGE', ['--listen']);
  await refused('ERR_USAGE', ['--user', 'nobody', '--listen', 'localhost:0']);
  await refused('ERR_USAGE', ['--allow-target', 'name.example', '--listen', 'localhost:0', '--no-auth']);
  await refused('ERR_USAGE', ['--no-auth', '--user', 'a:b', '--listen', 'localhost:0']);
  await refused('ERR_USAGE', ['--cert', 'x']);
  await refused('ERR_USAGE', ['--drain-timeout', 'soon']);
  await refused('ERR_USAGE', ['--congestion', 'reno']);
  await refused('ERR_USAGE', ['--shards', '0']);
  await refused('ERR_USAGE', ['--shards', 'many']);
  await refused('ERR_USAGE', ['extra']);
  await refused('ERR_USAGE', ['--user-file', '/nonexistent/users']);
});

test('ERR_OPEN_PROXY: no authentication off loopback needs to be said', limit, async () => {
  await refused('ERR_OPEN_PROXY', ['--no-auth', '--listen', '0.0.0.0:0']);
  await refused('ERR_OPEN_PROXY', ['--no-auth', '--listen', ':0']);
  await using state = await temporaryDirectory();
  for (const args of [
    ['--listen', '127.0.0.1:0'],
    ['--listen', '0.0.0.0:0', '--open-to-everyone'],
  ]) {
    await using open = startBauta(['proxy', '--no-auth', '--json', '--state-dir', state.path, ...args]);
    assert.equal((await open.event('listening'))['authentication'], 'none');
  }
});

test('ERR_PORT_IN_USE: another process listens there', limit, async () => {
  await using state = await temporaryDirectory();
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  await refused('ERR_PORT_IN_USE', ['--listen', `127.0.0.1:${address.port}`, '--state-dir', state.path]);
  server.close();
});

test('ERR_ADDRESS_UNAVAILABLE: an address of another machine', limit, async () => {
  await using state = await temporaryDirectory();
  await refused('ERR_ADDRESS_UNAVAILABLE', ['--listen', '192.0.2.1:0', '--state-dir', state.path]);
});

test('ERR_TEMPLATE: a template without its variables', limit, async () => {
  await using state = await temporaryDirectory();
  await refused('ERR_TEMPLATE', [
    '--template',
    '/masque',
    '--listen',
    '127.0.0.1:0',
    '--state-dir',
    state.path,
  ]);
});

test('ERR_STATE_DIR: a state directory that cannot be', limit, async () => {
  await using directory = await temporaryDirectory();
  await writeFile(directory.file('file'), '');
  await refused('ERR_STATE_DIR', ['--state-dir', directory.file('file/below'), '--listen', '127.0.0.1:0']);
});

test('ERR_CERTIFICATE_FILE: files that are missing, broken, or of two pairs', limit, async () => {
  await using directory = await temporaryDirectory();
  const [one, two] = [selfSigned(['localhost'], 1), selfSigned(['localhost'], 1)];
  await writeFile(directory.file('cert.pem'), one.cert);
  await writeFile(directory.file('key.pem'), two.key);
  await writeFile(directory.file('broken.pem'), 'nothing of the kind');
  const listen = ['--listen', '127.0.0.1:0', '--user', 'a:b'];
  for (const [cert, key] of [
    ['missing.pem', 'key.pem'],
    ['broken.pem', 'key.pem'],
    ['cert.pem', 'broken.pem'],
    ['cert.pem', 'key.pem'],
  ]) {
    await refused('ERR_CERTIFICATE_FILE', [
      ...listen,
      ...['--cert', directory.file(cert ?? ''), '--key', directory.file(key ?? '')],
    ]);
  }
});

test('SSLKEYLOGFILE is ignored, --tls-key-log is not', limit, async () => {
  await using directory = await temporaryDirectory();
  for (const explicit of [false, true]) {
    await mkdir(directory.file(`state-${explicit}`));
    await using bauta = startBauta(
      [
        ...['proxy', '--listen', '127.0.0.1:0', '--state-dir', directory.file(`state-${explicit}`), '--json'],
        ...['--user', 'user:secret'],
        ...(explicit ? ['--tls-key-log', directory.file('explicit')] : []),
      ],
      { environment: { SSLKEYLOGFILE: directory.file('environment') } },
    );
    const listening = await bauta.event('listening');
    const link = String(listening['link']).replace('https://', 'https://user:secret@');
    for (const version of ['h3', 'h2'] as const) await (await connect(link, { versions: [version] })).close();
    if (!explicit) await bauta.event('key-log-ignored');
    bauta.child.kill('SIGTERM');
    await bauta.finished;
  }
  const files = await readdir(directory.path);
  assert.ok(!files.includes('environment'));
  assert.match(await readFile(directory.file('explicit'), 'utf8'), /CLIENT_TRAFFIC_SECRET|CLIENT_HANDSHAKE/);
});

test('the link that is shown has the name of the user that was given, and no password', limit, async () => {
  await using state = await temporaryDirectory();
  await using proxy = startBauta([
    ...['proxy', '--listen', '127.0.0.1:0', '--state-dir', state.path, '--user', 'ann:example'],
  ]);
  await proxy.said(/npx bauta doctor .*\n/);
  assert.match(proxy.out(), /npx bauta exec 'https:\/\/ann:PASSWORD@127\.0\.0\.1:\d+\/#pin=\S+' -- curl/);
  assert.doesNotMatch(proxy.out() + proxy.err(), /example:|:example/);
});

test('--check explains a decision, and its exit code tells it', limit, async () => {
  const no = await runBauta(['proxy', '--check', '10.1.2.3:53']);
  assert.match(no.out, /try: .*--allow-target CIDR/);
  assert.deepEqual([no.exit, no.out.includes('refused'), no.out.includes('10.0.0.0/8')], [6, true, true]);
  const yes = await runBauta(['proxy', '--check', '10.1.2.3:53', '--allow-target', '10.1.0.0/16', '--json']);
  assert.deepEqual([yes.exit, (JSON.parse(yes.out) as { allowed: boolean }).allowed], [0, true]);
  const mail = await runBauta(['proxy', '--check', '1.1.1.1:25']);
  assert.equal(mail.exit, 6);
  assert.match(mail.out, /1\.1\.1\.1:25: allowed\n.*\n\s+over TCP: refused, TCP port 25/);
  const never = await runBauta(['proxy', '--check', '1.1.1.1:53', '--deny-target', '1.0.0.0/8']);
  assert.equal(never.exit, 6);
  const portless = await runBauta(['proxy', '--check', '10.1.2.3']);
  assert.match(portless.out, /10\.1\.2\.3:443/);
  const bad = await runBauta(['proxy', '--check', 'nothing:at:all']);
  assert.match(bad.err, /ERR_TARGET_SYNTAX/);
  assert.equal(bad.exit, 2);
});

test('BAUTA_USERS and --user-file give users; none of their secrets is shown', limit, async () => {
  await using directory = await temporaryDirectory();
  await writeFile(directory.file('users'), 'file:file-secret\n');
  await using bauta = startBauta(
    [
      ...['proxy', '--listen', '127.0.0.1:0', '--state-dir', directory.path, '--json', '--verbose'],
      ...['--user-file', directory.file('users')],
    ],
    { environment: { BAUTA_USERS: 'env:env-secret\nsecond:also-secret' } },
  );
  const bare = String((await bauta.event('listening'))['link']);
  for (const user of ['file:file-secret', 'env:env-secret', 'second:also-secret']) {
    await using client = await connect(bare.replace('https://', `https://${user}@`));
    await assert.rejects(
      client.openUdp('127.0.0.1:9'),
      (error) => error instanceof BautaError && error.code === 'ERR_TARGET_REFUSED',
    );
  }
  bauta.child.kill('SIGTERM');
  const { out, err } = await bauta.finished;
  assert.ok(out.includes('request-refused'));
  assert.doesNotMatch(out + err, /secret/);
});

test('a bare port is one of this machine only', limit, async () => {
  await using state = await temporaryDirectory();
  await using proxy = startBauta(['proxy', '--listen', '0', '--state-dir', state.path, '--json']);
  const { addresses } = (await proxy.event('listening')) as { addresses: { address: string }[] };
  assert.ok(addresses.every(({ address }) => address === '127.0.0.1' || address === '::1'));
});

test('a start that fails changes nothing in the state directory', limit, async () => {
  await using state = await temporaryDirectory();
  const args = ['proxy', '--state-dir', state.path, '--listen'];
  const failed = await runBauta([...args, '192.0.2.1:0']);
  assert.equal(failed.exit, 2);
  assert.deepEqual(await readdir(state.path), ['secret']);
  await using proxy = startBauta([...args, 'localhost:0']);
  await proxy.said(/npx bauta doctor .*\n/);
  const before = await readFile(state.file('certificate.pem'), 'utf8');
  assert.equal((await runBauta([...args, '192.0.2.1:0'])).exit, 2);
  assert.equal(await readFile(state.file('certificate.pem'), 'utf8'), before);
});

test(
  'a second proxy with the same state says so, and one after the end of the first does not',
  limit,
  async () => {
    await using state = await temporaryDirectory();
    const args = ['proxy', '--listen', 'localhost:0', '--state-dir', state.path, '--json'];
    await using first = startBauta(args);
    const { pid } = await first.event('listening');
    await using second = startBauta(args);
    const shared = await second.event('state-shared');
    assert.equal(shared['pid'], pid);
    assert.match(String(shared['message']), /--state-dir/);
    for (const one of [first, second]) {
      one.child.kill('SIGTERM');
      assert.equal((await one.finished).exit, 0);
    }
    await using third = startBauta(args);
    await third.event('listening');
    third.child.kill('SIGTERM');
    assert.doesNotMatch((await third.finished).out, /state-shared/);
  },
);

test('the link has a name that the certificate has', limit, async () => {
  await using state = await temporaryDirectory();
  const pair = selfSigned(['localhost', 'proxy.example'], 2);
  await writeFile(state.file('cert.pem'), pair.cert);
  await writeFile(state.file('own-key.pem'), pair.key, { mode: 0o600 });
  const files = ['--cert', state.file('cert.pem'), '--key', state.file('own-key.pem')];
  const { bauta, bare } = await startProxyProcess(state.path, ...files);
  await using _ = bauta;
  assert.equal(new URL(bare).hostname, 'localhost');
});
