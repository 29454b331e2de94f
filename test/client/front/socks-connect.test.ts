import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { type ErrorCode, failures } from '../../../src/protocol/failures.js';
import { openApp, openUnreadApp } from './app-socket.js';
import { failure, startFrontEnd } from './direct-ground.js';
import { echo, startTarget } from './target-server.js';

const limit = { timeout: 120_000 };
const REPLY = 10;

const hex = (text: string): string => Buffer.from(text).toString('hex');
const port16 = (port: number): string => port.toString(16).padStart(4, '0');
const byAddress = (port: number): string => `05010001 7f000001 ${port16(port)}`;
const byName = (name: string, port: number): string =>
  `05010003 ${name.length.toString(16).padStart(2, '0')} ${hex(name)} ${port16(port)}`;
const succeeded = '05000001000000000000';

async function connected(frontPort: number, targetPort: number) {
  const app = await openApp(frontPort);
  app.write('050100');
  assert.equal(await app.read(2), '0500');
  app.write(byAddress(targetPort));
  assert.equal(await app.read(REPLY), succeeded);
  return app;
}

test('CONNECT by IPv4, IPv6 and name; the name is not resolved here', limit, async () => {
  const front = await startFrontEnd('socks');
  const four = await startTarget(echo);
  const six = await startTarget(echo, '::1');
  front.ground.names.add('a.example');
  const requests = [
    byAddress(four.port),
    `05010004 ${'0'.repeat(31)}1 ${port16(six.port)}`,
    byName('A.example', four.port),
    byName('127.0.0.1', four.port),
  ];
  for (const request of requests) {
    using app = await openApp(front.port);
    app.write('050100');
    assert.equal(await app.read(2), '0500');
    app.write(request);
    assert.equal(await app.read(REPLY), succeeded);
    app.write(hex('hello'));
    assert.equal(await app.read(5), hex('hello'));
    app.socket.end();
    assert.deepEqual(await app.rest(), { bytes: Buffer.alloc(0), how: 'end' });
  }
  assert.deepEqual(front.ground.asked, [
    `127.0.0.1 ${four.port}`,
    `::1 ${six.port}`,
    `a.example ${four.port}`,
    `127.0.0.1 ${four.port}`,
  ]);
});

test('a request byte by byte, and one with everything and data at once', limit, async () => {
  const front = await startFrontEnd('socks');
  const target = await startTarget(echo);
  using slow = await openApp(front.port);
  slow.socket.setNoDelay(true);
  for (const byte of Buffer.from(`05020001${byAddress(target.port)}`.replaceAll(' ', ''), 'hex')) {
    slow.write(Uint8Array.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(await slow.read(2 + REPLY), `0500${succeeded}`);
  using fast = await openApp(front.port);
  fast.write(`050100 ${byAddress(target.port)} ${hex('early')}`);
  fast.socket.end();
  assert.equal(await fast.read(2 + REPLY), `0500${succeeded}`);
  assert.deepEqual(await fast.rest(), { bytes: Buffer.from('early'), how: 'end' });
});

test('user and password: wanted where they are set, and compared', limit, async () => {
  const front = await startFrontEnd('mixed', { user: { name: 'me', password: 'secret' } });
  const target = await startTarget(echo);
  const login = (name: string, password: string): string =>
    `01 0${name.length} ${hex(name)} 0${password.length} ${hex(password)}`;
  for (const [name, password] of [
    ['me', 'wrong'],
    ['you', 'secret'],
    ['me', ''],
  ] as const) {
    using app = await openApp(front.port);
    app.write(`05020002 ${login(name, password)} ${byAddress(target.port)}`);
    assert.equal(await app.read(4), '05020101');
    assert.deepEqual(await app.rest(), { bytes: Buffer.alloc(0), how: 'end' });
  }
  using without = await openApp(front.port);
  without.write('050100');
  assert.equal(await without.read(2), '05ff');
  assert.equal((await without.rest()).how, 'end');
  using app = await openApp(front.port);
  app.write(`050102 ${login('me', 'secret')} ${byAddress(target.port)}`);
  assert.equal(await app.read(4 + REPLY), `05020100${succeeded}`);
  assert.equal(front.ground.asked.length, 1);
});

test('an app that insists on a login may have any where none is set', limit, async () => {
  const front = await startFrontEnd('socks');
  const target = await startTarget(echo);
  using app = await openApp(front.port);
  app.write(`050102 0101610162 ${byAddress(target.port)}`);
  assert.equal(await app.read(4 + REPLY), `05020100${succeeded}`);
});

const refusals: readonly (readonly [what: string, bytes: string, answer: string])[] = [
  ['no method that is known', '05 02 01 80', '05ff'],
  ['no method at all', '05 00', '05ff'],
  ['BIND', `050100 05020001 7f000001 0050`, '0500 05070001000000000000'],
  ['an unknown command', `050100 05090001 7f000001 0050`, '0500 05070001000000000000'],
  ['an unknown type of address', '050100 05010002', '0500 05080001000000000000'],
  ['port 0', '050100 05010001 7f000001 0000', '0500 05010001000000000000'],
  ['an empty name', '050100 05010003 00 0050', '0500 05010001000000000000'],
  ['a name that is none', `050100 ${byName('a b', 80)}`, '0500 05010001000000000000'],
  ['another version in the request', '050100 04010001', '0500 05010001000000000000'],
  ['SOCKS4', '0401005000000001 6d6500', '005b000000000000'],
  ['a login in another version', '050102 0501610162', '0502'],
];
for (const [what, bytes, answer] of refusals) {
  test(`refused: ${what}`, limit, async () => {
    const front = await startFrontEnd('mixed');
    using app = await openApp(front.port);
    app.write(bytes);
    const { bytes: got, how } = await app.rest();
    assert.equal(got.toString('hex'), answer.replaceAll(' ', ''));
    assert.equal(how, 'end');
    assert.equal(front.ground.asked.length, 0);
    assert.equal((await front.told('app-refused')).app.address, '127.0.0.1');
  });
}

test('HTTP on a port for SOCKS is told what it is', limit, async () => {
  const front = await startFrontEnd('socks');
  using app = await openApp(front.port);
  app.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  const { bytes, how } = await app.rest();
  assert.match(bytes.toString(), /^HTTP\/1\.1 400 [\s\S]*\r\n\r\n.*SOCKS5.*\n$/);
  assert.equal(how, 'end');
  assert.match((await front.told('app-refused')).detail, /HTTP: set the app to a SOCKS5 proxy/);
});

test('neither SOCKS nor HTTP on a port for SOCKS: closed without an answer', limit, async () => {
  const front = await startFrontEnd('socks');
  using app = await openApp(front.port);
  app.write(Buffer.from([0x16, 3, 1]));
  assert.deepEqual(await app.rest(), { bytes: Buffer.alloc(0), how: 'end' });
});

const codes: readonly ErrorCode[] = [
  'ERR_TARGET_REFUSED',
  'ERR_TARGET_NAME',
  'ERR_TARGET_UNREACHABLE',
  'ERR_TARGET_CLOSED',
  'ERR_TARGET_TIMEOUT',
  'ERR_TIMEOUT',
  'ERR_PROXY_UNREACHABLE',
  'ERR_CREDENTIALS',
  'ERR_CONNECTION_LOST',
];
for (const code of codes) {
  test(`${code} is reply ${failures[code].socks}`, limit, async () => {
    const front = await startFrontEnd('socks');
    front.ground.failing.set('a.example', failure(code));
    using app = await openApp(front.port);
    app.write(`050100 ${byName('a.example', 80)}`);
    assert.equal(await app.read(2), '0500');
    assert.equal(await app.read(REPLY), `050${failures[code].socks}0001000000000000`);
    assert.equal((await app.rest()).how, 'end');
    assert.equal((await front.told('tunnel-failed')).error.code, code);
  });
}

test('a target that closes half: its end is told, and the app goes on sending', limit, async () => {
  const front = await startFrontEnd('socks');
  const got: Buffer[] = [];
  const target = await startTarget((socket) => {
    socket.end('all I say');
    socket.on('data', (bytes: Buffer) => got.push(bytes));
  });
  using app = await connected(front.port, target.port);
  assert.deepEqual(await app.rest(), { bytes: Buffer.from('all I say'), how: 'end' });
  const [socket] = target.sockets;
  assert.ok(socket);
  const ended = once(socket, 'end');
  app.socket.write('still here');
  app.socket.end();
  await ended;
  assert.equal(Buffer.concat(got).toString(), 'still here');
});

const resetting: readonly (readonly [what: string, serve: (socket: Socket) => void])[] = [
  ['with nothing sent', (socket) => socket.once('data', () => socket.resetAndDestroy())],
  [
    'with bytes queued',
    (socket) =>
      socket.once('data', () => {
        socket.write(Buffer.alloc(3_000_000));
        setTimeout(() => socket.resetAndDestroy(), 50);
      }),
  ],
];
for (const [what, serve] of resetting) {
  test(`a target that resets ${what} resets the app that reads`, limit, async () => {
    const front = await startFrontEnd('socks');
    const target = await startTarget(serve);
    using app = await connected(front.port, target.port);
    app.socket.write('go');
    assert.equal((await app.rest()).how, 'reset');
    assert.equal((await front.told('tunnel-closed')).how, 'reset');
  });

  test(`a target that resets ${what} resets the app that does not read`, limit, async () => {
    const front = await startFrontEnd('socks');
    const target = await startTarget(serve);
    const app = await openUnreadApp(front.ground.tcp(), front.port);
    app.write(`050100 ${byAddress(target.port)} ${hex('go')}`);
    assert.deepEqual(await app.closed, { kind: 'reset', by: 'peer', errno: 'ECONNRESET' });
  });
}

test('an app that resets resets the target', limit, async () => {
  const front = await startFrontEnd('socks');
  const errors: string[] = [];
  const target = await startTarget((socket) => {
    socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code ?? ''));
    socket.resume();
  });
  using app = await connected(front.port, target.port);
  app.socket.write('some');
  while (target.sockets.size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  app.socket.resetAndDestroy();
  assert.equal((await front.told('tunnel-closed')).how, 'reset');
  while (target.sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(errors, ['ECONNRESET']);
});

test('an app that leaves while its tunnel is opened: the opening is given up', limit, async () => {
  const front = await startFrontEnd('socks');
  front.ground.failing.set('a.example', 'wait');
  using app = await openApp(front.port);
  app.write(`050100 ${byName('a.example', 80)}`);
  assert.equal(await app.read(2), '0500');
  while (front.ground.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  app.socket.resetAndDestroy();
  while (front.connections() > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(front.events, []);
});

test('a request that does not come in time ends the connection', limit, async () => {
  const front = await startFrontEnd('socks', { limits: { requestTimeout: 300 } });
  using silent = await openApp(front.port);
  using slow = await openApp(front.port);
  slow.write('0501');
  assert.equal((await silent.rest()).how, 'end');
  assert.equal((await slow.rest()).how, 'end');
});

test('a connection above the limit is reset, and the next after one has gone is not', limit, async () => {
  const front = await startFrontEnd('socks', { limits: { connections: 2 } });
  using first = await openApp(front.port);
  using second = await openApp(front.port);
  while (front.connections() < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  // The reset may come before or after Node has told that the connection is up.
  const third = openApp(front.port).then((app) => app.rest());
  const how = await third.then(
    (end) => end.how,
    (error: NodeJS.ErrnoException) => error.code,
  );
  assert.ok(how === 'reset' || how === 'ECONNRESET', how);
  first.socket.destroy();
  while (front.connections() > 1) await new Promise((resolve) => setTimeout(resolve, 5));
  using fourth = await openApp(front.port);
  for (const app of [second, fourth]) {
    app.write('050100');
    assert.equal(await app.read(2), '0500');
  }
});

test('a tunnel without a byte for long is reset', limit, async () => {
  const front = await startFrontEnd('socks', { limits: { tcpIdleTimeout: 400 } });
  const target = await startTarget(echo);
  using app = await connected(front.port, target.port);
  app.write(hex('a'));
  assert.equal(await app.read(1), hex('a'));
  assert.equal((await app.rest()).how, 'reset');
  assert.equal((await front.told('tunnel-closed')).how, 'idle');
});

test('closing drains: what runs may end by itself, the rest is reset', limit, async () => {
  const front = await startFrontEnd('socks');
  const target = await startTarget(echo);
  using app = await connected(front.port, target.port);
  const closing = front.close({ drain: 10_000 });
  // The kernel may have taken it before the port was closed.
  const late = await openApp(front.port).then(
    async (other) => (await other.rest()).how,
    () => 'refused',
  );
  assert.notEqual(late, 'end');
  app.write(hex('late'));
  assert.equal(await app.read(4), hex('late'));
  app.socket.end();
  await closing;
  const other = await startFrontEnd('socks');
  using cut = await connected(other.port, target.port);
  await other.close();
  assert.equal((await cut.rest()).how, 'reset');
});
