import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import {
  HEADER,
  HELLO_SIZE,
  kindOf,
  kinds,
  REPORT_SIZE,
  readUint32,
  SOURCE_SIZE,
  writeHeader,
  writeUint32,
} from '../../../src/client/bench/datagram-format.js';
import { openResponder } from '../../../src/client/bench/responder.js';
import { LINES, SINK_REPORT } from '../../../src/client/bench/tcp-responder.js';
import { systemClock } from '../../../src/clock/system-clock.js';
import { createNativeEngine } from '../../../src/quic/native/index.js';

const limit = { timeout: 120_000 };

async function startResponder() {
  const engine = createNativeEngine();
  const responder = await openResponder({
    sockets: engine.udp,
    addresses: ['127.0.0.1'],
    port: 0,
    clock: systemClock,
  });
  return {
    port: responder.addresses[0]?.port ?? 0,
    async [Symbol.asyncDispose]() {
      await responder[Symbol.asyncDispose]();
      await engine.close();
    },
  };
}

/** A socket that speaks to the responder, with what came. */
async function startAsker(port: number) {
  const socket: Socket = createSocket('udp4');
  const came: Buffer[] = [];
  let cookie = Buffer.alloc(8);
  let hellos = 0;
  socket.on('message', (message) => came.push(message));
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const packet = (kind: number, size: number, run = 1): Buffer => {
    const bytes = Buffer.alloc(size);
    writeHeader(bytes, kind, cookie);
    writeUint32(bytes, 16, run);
    return bytes;
  };
  const send = (bytes: Buffer): void => socket.send(bytes);
  /** Sends until an answer of this kind is there. */
  const ask = async (bytes: Buffer, kind: number, sent = (): void => undefined): Promise<Buffer> => {
    for (;;) {
      send(bytes);
      sent();
      await new Promise((resolve) => setTimeout(resolve, 30));
      const index = came.findIndex((message) => kindOf(message, 0, message.length) === kind);
      const found = came[index];
      if (found) {
        came.splice(index, 1);
        return found;
      }
    }
  };
  return {
    came,
    packet,
    send,
    ask,
    /** What came and is no answer to a hello: on a slow machine that is repeated before its first answer is seen. */
    get unasked() {
      let repeated = hellos - 1;
      return came.filter((message) => kindOf(message, 0, message.length) !== kinds.cookie || repeated-- <= 0);
    },
    async greet() {
      const answer = await ask(packet(kinds.hello, HELLO_SIZE), kinds.cookie, () => {
        hellos += 1;
      });
      cookie = Buffer.from(answer.subarray(8, 16));
      return answer;
    },
    async count(run = 1) {
      const report = await ask(packet(kinds.count, REPORT_SIZE, run), kinds.counted);
      return { counted: readUint32(report, 32), sent: readUint32(report, 36) };
    },
    [Symbol.dispose]: () => void socket.close(),
  };
}

test(
  'the answer to a hello is smaller than the hello; a short hello and other datagrams get none',
  limit,
  async () => {
    await using responder = await startResponder();
    using asker = await startAsker(responder.port);
    asker.send(asker.packet(kinds.hello, HELLO_SIZE - 1));
    asker.send(
      Buffer.from('anything else, which is no datagram of this protocol, and gets no answer whatever'),
    );
    const answer = await asker.greet();
    assert.equal(answer.length, HEADER);
    assert.ok(answer.length < HELLO_SIZE);
    // Whatever the first two had caused would have come before it.
    assert.deepEqual(asker.unasked, []);
  },
);

test(
  'nothing is echoed, counted or sent to one who has no cookie, or the cookie of another address',
  limit,
  async () => {
    await using responder = await startResponder();
    using asker = await startAsker(responder.port);
    using other = await startAsker(responder.port);
    await other.greet();
    const source = asker.packet(kinds.source, SOURCE_SIZE);
    writeUint32(source, 32, 1_000);
    writeUint32(source, 36, 1_200 << 16);
    asker.send(asker.packet(kinds.echo, 200));
    asker.send(source);
    asker.send(asker.packet(kinds.count, REPORT_SIZE));
    const stolen = other.packet(kinds.echo, 200);
    asker.send(stolen);
    await asker.greet();
    assert.deepEqual(asker.unasked, []);
    const echoed = await asker.ask(asker.packet(kinds.echo, 200), kinds.echoed);
    assert.equal(echoed.length, 200);
  },
);

test('a sink counts what came in its run', limit, async () => {
  await using responder = await startResponder();
  using asker = await startAsker(responder.port);
  await asker.greet();
  for (let index = 0; index < 20; index++) asker.send(asker.packet(kinds.sink, 100));
  while ((await asker.count()).counted < 20);
  assert.deepEqual(await asker.count(), { counted: 20, sent: 0 });
  assert.deepEqual(await asker.count(2), { counted: 0, sent: 0 });
});

test(
  'a source sends datagrams of the size asked for, and ends by itself when nobody asks any more',
  limit,
  async () => {
    await using responder = await startResponder();
    using asker = await startAsker(responder.port);
    await asker.greet();
    const source = asker.packet(kinds.source, SOURCE_SIZE);
    writeUint32(source, 32, 500);
    writeUint32(source, 36, 700 << 16);
    const first = await asker.ask(source, kinds.sourced);
    assert.equal(first.length, 700);
    let before = -1;
    let { sent } = await asker.count();
    const deadline = performance.now() + 60_000;
    while (sent !== before) {
      assert.ok(performance.now() < deadline, 'it did not end');
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 400));
      ({ sent } = await asker.count());
    }
    assert.ok(sent > 1);
  },
);

test('over TCP: a sink tells what it got, a source writes, any other line closes', limit, async () => {
  await using responder = await startResponder();
  const sink = connect(responder.port, '127.0.0.1');
  const got: Buffer[] = [];
  sink.on('data', (chunk: Buffer) => got.push(chunk));
  // The first bytes in the same packet as the line.
  sink.write(Buffer.concat([Buffer.from(LINES.sink), Buffer.alloc(100_000)]));
  sink.end(Buffer.alloc(900_000));
  await once(sink, 'close');
  const reports = Buffer.concat(got);
  assert.equal(reports.length % SINK_REPORT, 0);
  assert.equal(reports.readBigUInt64BE(reports.length - SINK_REPORT), 1_000_000n);

  const source = connect(responder.port, '127.0.0.1');
  source.write(LINES.source.slice(0, 5));
  source.write(LINES.source.slice(5));
  let bytes = 0;
  for await (const chunk of source) {
    bytes += (chunk as Buffer).length;
    if (bytes > 3_000_000) break;
  }
  assert.ok(bytes > 3_000_000);

  const other = connect(responder.port, '127.0.0.1');
  other.on('error', () => undefined);
  other.write('GET / HTTP/1.1\r\n\r\n');
  other.resume();
  await once(other, 'close');
});
