import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { after, test } from 'node:test';
import type { FrontEndOptions } from '../../../src/client/front/open-front-end.js';
import { type AppSocket, openApp } from './app-socket.js';
import { failure, startFrontEnd, type TestFrontEnd } from './direct-ground.js';

const limit = { timeout: 120_000 };
const ASSOCIATE = '05030001 00000000 0000';

async function udpSocket(host = '127.0.0.1', echo = false): Promise<{ socket: Socket; port: number }> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  if (echo) socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  socket.bind(0, host);
  await once(socket, 'listening');
  after(() => socket.close());
  return { socket, port: socket.address().port };
}

/** RSV, FRAG, address and port as RFC 1928 section 7 has them. */
function head(target: string, port: number, fragment = 0): Buffer {
  const address = /^[\d.]+$/.test(target)
    ? Buffer.from([1, ...target.split('.').map(Number)])
    : Buffer.concat([Buffer.from([3, target.length]), Buffer.from(target)]);
  return Buffer.concat([Buffer.from([0, 0, fragment]), address, Buffer.from([port >> 8, port & 0xff])]);
}

interface Associated {
  readonly front: TestFrontEnd;
  readonly app: AppSocket;
  readonly relay: number;
  readonly reply: string;
}

async function associate(options: Partial<FrontEndOptions> = {}, request = ASSOCIATE): Promise<Associated> {
  const front = await startFrontEnd('mixed', options);
  const app = await openApp(front.port);
  after(() => app.socket.destroy());
  app.write(`050100 ${request}`);
  const reply = (await app.read(12)).slice(4);
  return { front, app, reply, relay: Number.parseInt(reply.slice(-4), 16) };
}

async function canBind(port: number): Promise<boolean> {
  const socket = createSocket('udp4').bind(port, '127.0.0.1');
  try {
    await once(socket, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}

async function answerTo(socket: Socket): Promise<Buffer> {
  const [message] = (await once(socket, 'message')) as [Buffer];
  return message;
}

test(
  'UDP ASSOCIATE: datagrams to several targets by address and name, answers with the same head',
  limit,
  async () => {
    const { front, relay, reply } = await associate();
    assert.match(reply, /^050000017f000001/);
    front.ground.names.add('a.example');
    const one = await udpSocket('127.0.0.1', true);
    const two = await udpSocket('127.0.0.1', true);
    const { socket } = await udpSocket();
    for (const [target, port, text] of [
      ['127.0.0.1', one.port, 'first'],
      ['127.0.0.1', two.port, 'second'],
      ['a.example', one.port, 'third'],
      ['127.0.0.1', one.port, ''],
      ['127.0.0.1', one.port, 'x'.repeat(1_200)],
    ] as const) {
      const datagram = Buffer.concat([head(target, port), Buffer.from(text)]);
      const answer = answerTo(socket);
      socket.send(datagram, relay, '127.0.0.1');
      assert.deepEqual(await answer, datagram);
    }
    assert.deepEqual(front.ground.asked, [
      `127.0.0.1 ${one.port}`,
      `127.0.0.1 ${two.port}`,
      `a.example ${one.port}`,
    ]);
  },
);

test('an association over IPv6, and a BND.ADDR that was set', limit, async () => {
  const front = await startFrontEnd('socks', {
    local: { address: '::1', port: 0 },
    associateAddress: '192.0.2.7',
  });
  using app = await openApp(front.port, '::1');
  app.write(`050100 05030004 ${'0'.repeat(36)}`);
  const reply = await app.read(12);
  assert.match(reply, /^050005000001c0000207/);
  const echo = await udpSocket('::1', true);
  const { socket } = await udpSocket('::1');
  const datagram = Buffer.concat([
    Buffer.from(`00000004${'0'.repeat(31)}1`, 'hex'),
    Buffer.from([echo.port >> 8, echo.port & 0xff]),
    Buffer.from('six'),
  ]);
  const answer = answerTo(socket);
  socket.send(datagram, Number.parseInt(reply.slice(-4), 16), '::1');
  assert.deepEqual(await answer, datagram);
});

test(
  'another port or address than that of the app is not heard, nor are fragments and what is malformed',
  limit,
  async () => {
    const { front, relay } = await associate();
    const target = await udpSocket();
    const got: string[] = [];
    target.socket.on('message', (message) => got.push(message.toString()));
    const app = await udpSocket();
    const other = await udpSocket();
    const elsewhere = await udpSocket('127.0.0.2');
    const good = head('127.0.0.1', target.port);
    const send = async (socket: Socket, datagram: Uint8Array): Promise<void> => {
      await new Promise((resolve) => socket.send(datagram, relay, '127.0.0.1', resolve));
    };
    const text = (said: string): Buffer => Buffer.concat([good, Buffer.from(said)]);
    await send(elsewhere.socket, text('from another address'));
    await send(app.socket, text('one'));
    while (got.length < 1) await once(target.socket, 'message');
    await send(other.socket, text('from another port'));
    await send(app.socket, Buffer.concat([head('127.0.0.1', target.port, 1), Buffer.from('fragment')]));
    await send(app.socket, Buffer.from([0, 0, 0, 1, 127]));
    await send(app.socket, Buffer.from([0, 0, 0, 9, 1, 2, 3, 4]));
    await send(app.socket, Buffer.concat([head('127.0.0.1', 0), Buffer.from('port 0')]));
    await send(app.socket, Buffer.concat([head('a b', 53), Buffer.from('no name')]));
    await send(app.socket, text('two'));
    while (got.length < 2) await once(target.socket, 'message');
    assert.deepEqual(got, ['one', 'two']);
    assert.deepEqual(front.ground.asked, [`127.0.0.1 ${target.port}`]);
  },
);

test('an app of this machine that names its port is heard from that port alone', limit, async () => {
  const app = await udpSocket();
  const other = await udpSocket();
  const target = await udpSocket();
  const stated = app.port.toString(16).padStart(4, '0');
  const { relay } = await associate({}, `05030001 00000000 ${stated}`);
  const datagram = (text: string) => Buffer.concat([head('127.0.0.1', target.port), Buffer.from(text)]);
  await new Promise((resolve) => other.socket.send(datagram('other'), relay, '127.0.0.1', resolve));
  app.socket.send(datagram('app'), relay, '127.0.0.1');
  const [message] = (await once(target.socket, 'message')) as [Buffer];
  assert.equal(message.toString(), 'app');
});

test('the association ends with its TCP connection', limit, async () => {
  for (const end of ['end', 'resetAndDestroy'] as const) {
    const { front, app, relay } = await associate();
    const echo = await udpSocket('127.0.0.1', true);
    const { socket } = await udpSocket();
    const answer = answerTo(socket);
    socket.send(Buffer.concat([head('127.0.0.1', echo.port), Buffer.from('x')]), relay, '127.0.0.1');
    await answer;
    app.socket[end]();
    assert.equal((await front.told('tunnel-closed')).network, 'udp');
    while (front.connections() > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    // The port is free again: soon, as the engine's thread closes it after this one has told of the end.
    while (!(await canBind(relay))) await new Promise((resolve) => setTimeout(resolve, 5));
  }
});

test(
  'targets of one association and associations are limited; quiet targets are given up',
  limit,
  async () => {
    const { front, app, relay } = await associate({
      limits: { associations: 1, associationTargets: 2, udpIdleTimeout: 400 },
    });
    using second = await openApp(front.port);
    second.write(`050100 ${ASSOCIATE}`);
    assert.equal((await second.read(4)).slice(4), '0501');
    const { socket } = await udpSocket();
    const echoes = await Promise.all([1, 2, 3].map(() => udpSocket('127.0.0.1', true)));
    for (const { port } of echoes) {
      const answer = answerTo(socket);
      socket.send(Buffer.concat([head('127.0.0.1', port), Buffer.from('x')]), relay, '127.0.0.1');
      await answer;
    }
    const closedNow = (): string[] =>
      front.events.flatMap((event) =>
        event.type === 'tunnel-closed' ? [`${event.target} ${event.how}`] : [],
      );
    assert.deepEqual(closedNow(), [`127.0.0.1:${echoes[0]?.port} idle`]);
    while (closedNow().length < 3) await new Promise((resolve) => setTimeout(resolve, 10));
    app.socket.destroy();
    while (front.connections() > 1) await new Promise((resolve) => setTimeout(resolve, 5));
    using third = await openApp(front.port);
    third.write(`050100 ${ASSOCIATE}`);
    assert.equal((await third.read(4)).slice(4), '0500');
  },
);

test('a target that cannot be reached is told, and the others go on', limit, async () => {
  const { front, relay } = await associate();
  front.ground.failing.set('bad.example', failure('ERR_TARGET_REFUSED'));
  const echo = await udpSocket('127.0.0.1', true);
  const { socket } = await udpSocket();
  socket.send(Buffer.concat([head('bad.example', 53), Buffer.from('x')]), relay, '127.0.0.1');
  const failed = await front.told('tunnel-failed');
  assert.deepEqual(
    [failed.network, failed.target, failed.error.code],
    ['udp', 'bad.example:53', 'ERR_TARGET_REFUSED'],
  );
  const answer = answerTo(socket);
  socket.send(Buffer.concat([head('127.0.0.1', echo.port), Buffer.from('y')]), relay, '127.0.0.1');
  assert.equal((await answer).subarray(-1).toString(), 'y');
});
