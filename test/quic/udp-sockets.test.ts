import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { SocketAddress } from '../../src/quic/address.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import type { UdpOpenError, UdpSocket, UdpSocketHandler } from '../../src/quic/udp-socket.js';
import { delay, until } from './pair.js';

const run = promisify(execFile);

const engine = createNativeEngine();
after(() => engine.close());
const limit = { timeout: 120_000 };
/** Sends to an address without end. */
const flooding = `
  const { workerData: { address, port } } = require('node:worker_threads');
  const socket = require('node:dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const bytes = Buffer.from('flood');
  const go = () => {
    for (let count = 0; count < 50; count++) socket.send(bytes, port, address);
    setImmediate(go);
  };
  socket.bind(0, address, go);
`;

const linuxOnly = { ...limit, skip: process.platform !== 'linux' && 'a port has one socket here' };

interface Received {
  readonly packets: { readonly bytes: Buffer; readonly from: SocketAddress | undefined }[];
  readonly problems: string[];
  readonly handler: UdpSocketHandler;
}

function received(): Received {
  const packets: { bytes: Buffer; from: SocketAddress | undefined }[] = [];
  const problems: string[] = [];
  return {
    packets,
    problems,
    handler: {
      packet: (bytes, start, end, from) =>
        packets.push({ bytes: Buffer.from(bytes.subarray(start, end)), from }),
      problem: (problem, errno) => problems.push(`${problem} ${errno}`),
    },
  };
}

async function echo(address: string): Promise<{ socket: UdpSocket; seen: SocketAddress[] }> {
  const seen: SocketAddress[] = [];
  const socket = await engine.udp.open(
    { local: { address, port: 0 } },
    {
      packet(bytes, start, end, from) {
        if (!from) return;
        seen.push(from);
        socket.send(bytes, start, end, from);
      },
      problem: () => undefined,
    },
  );
  return { socket, seen };
}

function send(socket: UdpSocket, text: string, to?: SocketAddress): string {
  const bytes = Buffer.from(`--${text}--`);
  return socket.send(bytes, 2, bytes.length - 2, to);
}

describe('UDP sockets of the native engine', () => {
  for (const address of ['127.0.0.1', '::1']) {
    test(`connected and bound sockets on ${address}, payloads of every size`, limit, async () => {
      const target = await echo(address);
      const { packets, handler } = received();
      const socket = await engine.udp.open({ remote: target.socket.localAddress }, handler);
      assert.equal(socket.localAddress.address, address);
      const largest = 65_507 - 40;
      const sizes = [0, 1, 2, 3, 1200, 1200, 1200, 500, 1472, 9000, largest];
      for (const size of sizes) assert.equal(socket.send(Buffer.alloc(size, size & 0xff), 0, size), 'sent');
      await until(() => packets.length === sizes.length);
      assert.deepEqual(
        packets.map(({ bytes }) => bytes.length),
        sizes,
      );
      assert.ok(
        packets.every(
          ({ bytes, from }) => from === undefined && bytes.every((byte) => byte === (bytes.length & 0xff)),
        ),
      );
      assert.equal(new Set(target.seen).size, 1, 'one address is one object');
      const total = sizes.reduce((sum, size) => sum + size, 0);
      assert.deepEqual(socket.statistics(), {
        packetsSent: sizes.length,
        packetsReceived: sizes.length,
        bytesSent: total,
        bytesReceived: total,
        droppedSending: 0,
        droppedReceiving: 0,
      });
    });
  }

  test('a connected socket hears nobody else', limit, async () => {
    const target = await echo('127.0.0.1');
    const { packets, handler } = received();
    const socket = await engine.udp.open({ remote: target.socket.localAddress }, handler);
    const stranger = await engine.udp.open({ local: { address: '127.0.0.1', port: 0 } }, received().handler);
    send(stranger, 'spoofed', socket.localAddress);
    send(socket, 'genuine');
    await until(() => packets.length > 0);
    await delay(20);
    assert.deepEqual(
      packets.map(({ bytes }) => bytes.toString()),
      ['genuine'],
    );
  });

  test('a refused port is a problem, and the socket stays open', limit, async () => {
    const closed = await engine.udp.open({ local: { address: '127.0.0.1', port: 0 } }, received().handler);
    const remote = closed.localAddress;
    closed.close();
    const { problems, packets, handler } = received();
    const socket = await engine.udp.open({ remote }, handler);
    send(socket, 'anybody?');
    await until(() => problems.length > 0);
    assert.deepEqual(problems, ['refused ECONNREFUSED']);
    const back = await engine.udp.open({ local: remote, remote: socket.localAddress }, received().handler);
    send(back, 'now');
    await until(() => packets.length === 1);
  });

  test('a socket without a peer hears of refused ports too', limit, async () => {
    const closed = await engine.udp.open({ local: { address: '127.0.0.1', port: 0 } }, received().handler);
    const to = closed.localAddress;
    closed.close();
    const { problems, handler } = received();
    const socket = await engine.udp.open({ local: { address: '127.0.0.1', port: 0 } }, handler);
    send(socket, 'anybody?', to);
    await until(() => problems.length > 0);
    assert.deepEqual(problems, ['refused ECONNREFUSED']);
    assert.equal(send(socket, 'no address'), 'dropped');
  });

  test('without descriptors opening fails by name, and what is open goes on', {
    ...limit,
    skip: process.platform === 'win32' && 'needs ulimit',
  }, async () => {
    const native = new URL('../../src/quic/native/index.js', import.meta.url).href;
    const source = `
      import { createNativeEngine } from '${native}';
      const engine = createNativeEngine();
      const handler = { packet() {}, problem() {} };
      const local = { address: '127.0.0.1', port: 0 };
      const opened = await Promise.allSettled(Array.from({ length: 100 }, () => engine.udp.open({ local }, handler)));
      const failed = opened.filter(({ status }) => status === 'rejected');
      const first = opened[0].value;
      const reply = new Promise((resolve) => { handler.packet = resolve; });
      first.send(Buffer.from('x'), 0, 1, first.localAddress);
      await reply;
      console.log(failed.length > 0 && new Set(failed.map(({ reason }) => reason.problem + ' ' + reason.errno)));
      await engine.close();`;
    const shell = `ulimit -n 80; exec "$0" --input-type=module -e "$1"`;
    const { stdout } = await run('sh', ['-c', shell, process.execPath, source], { timeout: 60_000 });
    assert.equal(stdout.trim(), "Set(1) { 'no-descriptors EMFILE' }");
  });

  test('DF is set: what the path does not take is told, packet by packet', limit, async () => {
    const { problems, handler } = received();
    const target = received();
    const bound = await engine.udp.open({ local: { address: '127.0.0.1', port: 0 } }, target.handler);
    const socket = await engine.udp.open({ remote: bound.localAddress }, handler);
    const large = Buffer.alloc(65_535);
    socket.send(large, 0, 65_520);
    send(socket, 'small');
    await until(() => problems.length > 0 && target.packets.length === 1);
    assert.deepEqual(problems, ['too-large EMSGSIZE']);
    assert.equal(socket.statistics().droppedSending, 1);
    assert.equal(socket.send(Buffer.alloc(65_536), 0, 65_536), 'dropped');
  });

  test('a port in use and an address of another machine are reported', limit, async () => {
    const first = await engine.udp.open({ local: { address: '127.0.0.1', port: 0 } }, received().handler);
    await assert.rejects(
      engine.udp.open({ local: first.localAddress }, received().handler),
      (error: UdpOpenError) => error.problem === 'no-ports' && error.errno === 'EADDRINUSE',
    );
    await assert.rejects(
      engine.udp.open({ local: { address: '192.0.2.1', port: 0 } }, received().handler),
      (error: UdpOpenError) => error.problem === 'no-ports' && error.errno === 'EADDRNOTAVAIL',
    );
    await assert.rejects(engine.udp.open({ local: { address: 'localhost', port: 0 } }, received().handler));
  });

  test('thousands of packets in one tick are sent or counted as dropped', limit, async () => {
    const { packets, handler } = received();
    const sink = await engine.udp.open(
      { local: { address: '127.0.0.1', port: 0 }, bufferSize: 8_000_000 },
      handler,
    );
    const socket = await engine.udp.open({ remote: sink.localAddress }, received().handler);
    const body = Buffer.alloc(1000);
    let sent = 0;
    for (let index = 0; index < 3000; index++) if (socket.send(body, 0, 1000) === 'sent') sent++;
    assert.ok(sent > 900 && sent < 1100, `${sent} of 3000 fit into the queue`);
    await until(() => socket.statistics().packetsSent === sent);
    await delay(50);
    assert.equal(socket.statistics().droppedSending, 3000 - sent);
    assert.equal(packets.length + sink.statistics().droppedReceiving, sent);
    assert.equal(send(socket, 'room again'), 'sent');
  });

  test('nothing is delivered after close, and what was sent before it leaves', limit, async () => {
    const plain = createSocket('udp4');
    await new Promise<void>((resolve) => plain.bind(0, '127.0.0.1', resolve));
    const got: string[] = [];
    plain.on('message', (message) => got.push(message.toString()));
    const { packets, handler } = received();
    const { port } = plain.address();
    const socket = await engine.udp.open({ remote: { address: '127.0.0.1', port } }, handler);
    const local = socket.localAddress;
    send(socket, 'last words');
    socket.close();
    socket.close();
    assert.equal(send(socket, 'too late'), 'dropped');
    plain.send('hello', local.port, '127.0.0.1');
    await until(() => got.length === 1);
    await delay(20);
    assert.deepEqual(got, ['last words']);
    assert.equal(packets.length, 0);
    plain.close();
  });

  for (const address of ['127.0.0.1', '::1', '0.0.0.0']) {
    test(`a peer's own socket at the port of another (${address})`, linuxOnly, async () => {
      const loopback = address === '0.0.0.0' ? '127.0.0.1' : address;
      const heard = new Set<string>();
      const first = await engine.udp.open(
        { local: { address, port: 0 }, port: 'for-others' },
        {
          packet: (bytes, start, end) => heard.add(Buffer.from(bytes.subarray(start, end)).toString()),
          problem: () => undefined,
        },
      );
      const to = { address: loopback, port: first.localAddress.port };
      const one = await engine.udp.open({ local: { address: loopback, port: 0 } }, received().handler);
      // From another thread, so that something comes at every moment of the opening.
      const flood = new Worker(flooding, { eval: true, workerData: to });
      await until(() => heard.has('flood'));
      for (let round = 0; round < 150; round++) {
        const own = received();
        const beside = await engine.udp.open(
          { local: first.localAddress, remote: one.localAddress, port: 'of-another' },
          own.handler,
        );
        assert.equal(beside.localAddress.port, to.port);
        await until(() => {
          send(one, `round ${round}`, to);
          return own.packets.some(({ bytes }) => bytes.toString() === `round ${round}`);
        });
        const strangers = own.packets.map(({ bytes }) => bytes.toString()).filter((text) => text === 'flood');
        assert.deepEqual(strangers, [], `nobody else reaches it, in round ${round}`);
        beside.close();
        // With the socket closed its peer is everybody again.
        await until(() => {
          send(one, `after ${round}`, to);
          return heard.has(`after ${round}`);
        });
      }
      await flood.terminate();
      const port = { port: 'of-another' as const, remote: one.localAddress };
      const alone = await engine.udp.open({ local: { address, port: 0 } }, received().handler);
      const refused = engine.udp.open({ ...port, local: alone.localAddress }, received().handler);
      await assert.rejects(refused, { errno: 'EADDRINUSE' }, 'of one that lets none beside it');
      const again = engine.udp.open({ local: first.localAddress }, received().handler);
      await assert.rejects(again, { errno: 'EADDRINUSE' }, 'without being asked for');
      for (const socket of [first, one, alone]) socket.close();
    });
  }
});
