import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { tableError } from '../../src/cli/report-error.js';
import { createVirtualClock } from '../../src/clock/virtual-clock.js';
import { generatedUser, splitUser } from '../../src/ops/generated-user.js';
import { humanJournal, jsonJournal } from '../../src/ops/journal.js';
import { keptSecret } from '../../src/ops/kept-secret.js';
import { listensLocally, reachOf } from '../../src/ops/listen-reach.js';
import { ownCertificate } from '../../src/ops/own-certificate.js';
import { tellProxyEvents } from '../../src/ops/proxy-events.js';
import { publicKeyPin } from '../../src/ops/public-key-pin.js';
import { defaultStateDirectory, openStateDirectory } from '../../src/ops/state-directory.js';
import { ownState } from '../../src/ops/state-owner.js';
import { smallUdpBuffers } from '../../src/ops/udp-buffers.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { selfSigned } from '../../src/quic/native/index.js';
import { temporaryDirectory } from './run-bauta.js';

const day = 86_400_000;

test('the own certificate is kept, and renewed under the same key before it ends or for another name', async () => {
  await using place = await temporaryDirectory();
  const directory = await openStateDirectory(place.path);
  const now = Date.now();
  const made = await ownCertificate(directory, selfSigned, ['localhost', '127.0.0.1', '::1'], now);
  assert.equal(made.origin, 'made');
  assert.equal(await directory.read('certificate.pem'), undefined, 'nothing is written before it is told to');
  await made.keep();
  const kept = await ownCertificate(directory, selfSigned, ['localhost', '127.0.0.1'], now + 300 * day);
  assert.deepEqual([kept.origin, kept.cert], ['kept', made.cert]);
  const late = await ownCertificate(directory, selfSigned, ['localhost'], now + 380 * day);
  assert.deepEqual([late.origin, late.pin], ['renewed', made.pin]);
  const named = await ownCertificate(directory, selfSigned, ['localhost', '192.0.2.1', 'proxy.example'], now);
  assert.deepEqual([named.origin, named.pin], ['renewed', made.pin]);
  const certificate = new X509Certificate(named.cert);
  assert.ok(certificate.checkIP('192.0.2.1') && certificate.checkHost('proxy.example'));
  assert.notEqual(named.cert, made.cert);
});

test('certificate and key are two files; one that holds both is made two, with the same pin', async () => {
  await using place = await temporaryDirectory();
  const directory = await openStateDirectory(place.path);
  const old = selfSigned(['localhost'], 397);
  await directory.write('certificate.pem', `${old.cert}${old.key}`);
  const first = await ownCertificate(directory, selfSigned, ['localhost'], Date.now());
  assert.deepEqual([first.origin, first.pin], ['kept', publicKeyPin(old.cert)]);
  await first.keep();
  const certificate = (await directory.read('certificate.pem')) ?? '';
  assert.match(certificate, /BEGIN CERTIFICATE/);
  assert.doesNotMatch(certificate, /PRIVATE KEY/);
  assert.match((await directory.read('key.pem')) ?? '', /PRIVATE KEY/);
  const second = await ownCertificate(directory, selfSigned, ['localhost'], Date.now());
  assert.deepEqual([second.origin, second.cert], ['kept', first.cert]);
  // A certificate that was lost is made again under the key.
  await directory.remove('certificate.pem');
  const third = await ownCertificate(directory, selfSigned, ['localhost'], Date.now());
  assert.deepEqual([third.origin, third.pin], ['renewed', first.pin]);
});

test('a state directory is marked by the process that runs, and what a gone one left counts for nothing', async () => {
  await using place = await temporaryDirectory();
  const directory = await openStateDirectory(place.path);
  const own = await ownState(directory);
  assert.equal(own.other, undefined);
  assert.match((await directory.read('pid')) ?? '', new RegExp(`^${process.pid}\\b`));
  await own.leave();
  assert.equal(await directory.read('pid'), undefined);
  // Process 1 runs, but did not begin then; and no process has the last number.
  for (const gone of ['1 nonsense', '4194305 5', 'abc', '', '-1', '0']) {
    await directory.write('pid', gone);
    assert.equal((await ownState(directory)).other, undefined, gone);
  }
});

test('a certificate file that is spoilt is told, and not replaced by one with another pin', async () => {
  await using place = await temporaryDirectory();
  const directory = await openStateDirectory(place.path);
  const spoilt = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  for (const text of ['', spoilt, `${spoilt}${selfSigned(['localhost'], 1).key}`]) {
    await directory.write('certificate.pem', text);
    await assert.rejects(
      ownCertificate(directory, selfSigned, ['localhost'], Date.now()),
      (error) => error instanceof BautaError && error.code === 'ERR_CERTIFICATE_FILE',
    );
    assert.equal(await directory.read('certificate.pem'), text);
  }
});

test('a secret is made once, and anew where its file is spoilt', async () => {
  await using place = await temporaryDirectory();
  const directory = await openStateDirectory(place.path);
  const first = await keptSecret(directory);
  assert.equal(first.length, 32);
  assert.deepEqual(Buffer.from(await keptSecret(directory)), Buffer.from(first));
  for (const spoilt of ['', 'abcd', 'z'.repeat(64)]) {
    await directory.write('secret', spoilt);
    const next = await keptSecret(directory);
    assert.equal(next.length, 32);
    assert.notDeepEqual(Buffer.from(next), Buffer.from(first));
  }
});

test('a user is made once, with a password of at least 120 bits', async () => {
  await using place = await temporaryDirectory();
  const directory = await openStateDirectory(place.path);
  const first = await generatedUser(directory);
  await first.keep();
  const second = await generatedUser(directory);
  assert.deepEqual([first.fresh, second.fresh], [true, false]);
  assert.deepEqual([second.name, second.password], [first.name, first.password]);
  assert.match(first.password, /^[\w-]{20,}$/);
  assert.deepEqual(splitUser('a:b:c', 'here'), ['a', 'b:c']);
  for (const bad of ['', 'a', ':b', 'a:']) {
    assert.throws(
      () => splitUser(bad, 'here'),
      (error) => error instanceof BautaError && error.code === 'ERR_USAGE',
    );
  }
});

test('where state is kept follows the system', () => {
  assert.equal(
    defaultStateDirectory({ STATE_DIRECTORY: '/var/lib/bauta:/x', XDG_STATE_HOME: '/y' }),
    '/var/lib/bauta',
  );
  assert.equal(defaultStateDirectory({ XDG_STATE_HOME: '/y' }), '/y/bauta');
  assert.match(defaultStateDirectory({}), /\.local\/state\/bauta$/);
});

test('loopback, one network or everywhere', () => {
  assert.deepEqual(['127.0.0.1', '::1', '::', '0.0.0.0', '192.0.2.1'].map(reachOf), [
    'this-machine',
    'this-machine',
    'everywhere',
    'everywhere',
    'one-network',
  ]);
  assert.deepEqual(
    ['localhost:1', '127.0.0.9:1', '[::1]:1', ':1', '*:1', '[::]:1', 'name.example:1', '10.0.0.1:1'].map(
      listensLocally,
    ),
    [true, true, true, false, false, false, false, false],
  );
});

test('ERR_UDP_BUFFERS: the kernel allows too little, and the sysctl is told', async () => {
  const small = await smallUdpBuffers(async (path) => (path.endsWith('rmem_max') ? '212992\n' : '4194304\n'));
  assert.equal(small?.code, 'ERR_UDP_BUFFERS');
  assert.match(small?.message ?? '', /rmem_max is 212992\)/);
  assert.match(small?.hint ?? '', /sysctl -w net\.core\.rmem_max/);
  assert.equal(await smallUdpBuffers(async () => '4194304'), undefined);
  assert.equal(await smallUdpBuffers(() => Promise.reject(new Error('not Linux'))), undefined);
});

test('ERR_INTERNAL: what no table knows is told with its stack', () => {
  const error = tableError(new RangeError('nobody expected this'));
  assert.equal(error.code, 'ERR_INTERNAL');
  assert.match(error.message, /RangeError: nobody expected this\n +at /);
});

test('journals: sentences cannot move the cursor or forge a line, JSON is one object a line', () => {
  const lines: string[] = [];
  const human = humanJournal(
    (line) => lines.push(`out ${line}`),
    (line) => lines.push(`err ${line}`),
  );
  human.tell({ event: 'x' }, 'a\u001b[2Jb\rc');
  human.warn({ event: 'x' }, 'd');
  const json = jsonJournal(
    (line) => lines.push(line),
    () => new Date(0),
  );
  json.tell({ event: 'y', name: 'a\nb' }, 'not shown');
  json.warn({ event: 'z' }, 'shown');
  assert.deepEqual(lines, [
    'out a?[2Jb?c',
    'err d',
    '{"event":"y","name":"a\\nb","time":"1970-01-01T00:00:00.000Z","level":"info"}',
    '{"event":"z","message":"shown","time":"1970-01-01T00:00:00.000Z","level":"warning"}',
  ]);
});

test('a flood of refusals is no flood of lines', () => {
  const clock = createVirtualClock();
  const lines: string[] = [];
  const tell = tellProxyEvents(
    humanJournal(
      (line) => lines.push(line),
      (line) => lines.push(line),
    ),
    false,
    clock,
  );
  const refused = {
    event: 'request-refused',
    connection: 1,
    version: 'h3',
    client: { address: '192.0.2.1', port: 5 },
    user: undefined,
    target: undefined,
    status: 401,
    code: 'ERR_CREDENTIALS',
    detail: 'no credentials',
  } as const;
  for (let count = 0; count < 1_000; count++) tell(refused);
  assert.equal(lines.length, 10);
  assert.equal(lines[0], 'refused a stranger at 192.0.2.1:5: 401 ERR_CREDENTIALS (no credentials)');
  clock.advance(1_000);
  tell(refused);
  assert.deepEqual([lines.length, lines[10]], [12, '990 more like these']);
});

test('a user who only looks whether the credentials are good is no refusal to tell of', () => {
  const told = (verbose: boolean, user: string | undefined, host: string): number => {
    let lines = 0;
    const count = (): void => {
      lines += 1;
    };
    const tell = tellProxyEvents(humanJournal(count, count), verbose, createVirtualClock());
    tell({
      event: 'request-refused',
      connection: 1,
      version: 'h3',
      client: { address: '127.0.0.1', port: 5 },
      user,
      target: { host, port: 9 },
      status: 403,
      code: 'ERR_TARGET_REFUSED',
      detail: 'documentation, 192.0.2.0/24',
    });
    return lines;
  };
  assert.deepEqual(
    [told(false, 'ann', '192.0.2.1'), told(true, 'ann', '192.0.2.1'), told(false, undefined, '192.0.2.1')],
    [0, 1, 1],
  );
  assert.deepEqual([told(false, 'ann', '10.0.0.1'), told(false, 'ann', 'a.example')], [1, 1]);
});
