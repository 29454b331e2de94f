import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { QuicConnection } from '../../src/quic/connection.js';
import type { DatagramSplice } from '../../src/quic/datagram-splice.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import type { UdpSocket } from '../../src/quic/udp-socket.js';
import { inNamespace } from './in-namespace.js';
import { connectPair, delay, type Pair, type PairOptions, until } from './pair.js';

const engine = createNativeEngine();
after(() => engine.close());
const limit = { timeout: 120_000 };

/** The number that datagrams of the splice begin with, and what JavaScript puts in front of them. */
const NUMBER = 5;
const PREFIX = Uint8Array.of(NUMBER, 0);

interface Tunnel extends Pair {
  /** The connected socket, and the one that it is connected to. */
  readonly far: UdpSocket;
  readonly target: UdpSocket;
  /** Payloads that the target got, and that the client got, as text. */
  readonly atTarget: string[];
  readonly atClient: string[];
  /** What JavaScript between the two was told. */
  readonly told: { datagrams: number; packets: number; problems: string[]; other: Buffer[] };
  splice(): DatagramSplice;
  toTarget(text: string): string;
  toClient(text: string): void;
}

const text = (bytes: Uint8Array, start: number, end: number): string =>
  Buffer.from(bytes.subarray(start, end)).toString();

/** A client, JavaScript that carries its datagrams to a socket and back, and the target. */
async function tunnel(options: PairOptions = {}): Promise<Tunnel> {
  const told: Tunnel['told'] = { datagrams: 0, packets: 0, problems: [], other: [] };
  const atTarget: string[] = [];
  const atClient: string[] = [];
  let back: QuicConnection | undefined;
  const target = await engine.udp.open(
    { local: { address: '127.0.0.1', port: 0 } },
    {
      packet: (bytes, start, end) => void atTarget.push(text(bytes, start, end)),
      problem: () => undefined,
    },
  );
  const far = await engine.udp.open(
    { remote: target.localAddress },
    {
      packet(bytes, start, end) {
        told.packets++;
        back?.sendDatagram(PREFIX, bytes, start, end);
      },
      problem: (problem) => void told.problems.push(problem),
    },
  );
  const pair = await connectPair(engine, {
    ...options,
    server: {
      onDatagram(bytes, start, end) {
        if (end - start >= 2 && bytes[start] === NUMBER && bytes[start + 1] === 0) {
          told.datagrams++;
          far.send(bytes, start + 2, end);
        } else {
          told.other.push(Buffer.from(bytes.subarray(start, end)));
        }
      },
    },
    client: {
      onDatagram: (bytes, start, end) => void atClient.push(text(bytes, start + 2, end)),
    },
  });
  back = pair.server.connection;
  const farAddress = { address: '127.0.0.1', port: far.localAddress.port };
  return {
    ...pair,
    far,
    target,
    atTarget,
    atClient,
    told,
    splice() {
      const splice = pair.server.connection.spliceDatagrams?.(NUMBER, far);
      assert.ok(splice, 'the engine can');
      return splice;
    },
    toTarget(payload) {
      const bytes = Buffer.from(payload);
      return pair.client.connection.sendDatagram(PREFIX, bytes, 0, bytes.length);
    },
    toClient(payload) {
      const bytes = Buffer.from(payload);
      target.send(bytes, 0, bytes.length, farAddress);
    },
  };
}

/** Waits until the engine, not JavaScript, carries a payload in each direction. */
async function running({ told, toTarget, toClient, atTarget, atClient }: Tunnel): Promise<void> {
  for (;;) {
    const [before, received, sent] = [{ ...told }, atTarget.length, atClient.length];
    toTarget('probe');
    toClient('probe');
    await until(() => atTarget.length > received && atClient.length > sent);
    if (told.datagrams === before.datagrams && told.packets === before.packets) break;
  }
  atTarget.length = 0;
  atClient.length = 0;
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index));

describe('a splice of datagrams and a socket', () => {
  test('moves payloads both ways, of any size, without JavaScript, and counts them', limit, async () => {
    const made = await tunnel();
    const { told, atTarget, atClient, toTarget, toClient } = made;
    const splice = made.splice();
    await running(made);
    const before = splice.statistics();
    const [datagrams, packets] = [told.datagrams, told.packets];
    const payloads = ['', 'x', 'y'.repeat(1_000), 'z'.repeat(1_200)];
    for (const payload of payloads) {
      assert.equal(toTarget(payload), 'sent');
      toClient(payload);
    }
    await until(() => atTarget.length === payloads.length && atClient.length === payloads.length);
    assert.deepEqual(atTarget, payloads);
    assert.deepEqual(atClient, payloads);
    assert.deepEqual([told.datagrams, told.packets], [datagrams, packets], 'JavaScript heard nothing');
    assert.equal(splice.calledOff(), false);
    const after = splice.statistics();
    assert.equal(after.payloadsIn - before.payloadsIn, payloads.length);
    assert.equal(after.payloadsOut - before.payloadsOut, payloads.length);
    assert.equal(after.bytesIn - before.bytesIn, 2_201);
    assert.equal(after.bytesOut - before.bytesOut, 2_201);
    assert.equal(after.droppedOutQueueFull + after.droppedInSocket + after.droppedInTooLarge, 0);
  });

  test('keeps the order over the hand-over and over the way back, and loses nothing', limit, async () => {
    const made = await tunnel();
    const { atTarget, atClient, toTarget, toClient } = made;
    const all = numbers(600);
    let splice: DatagramSplice | undefined;
    for (const number of all) {
      toTarget(number);
      toClient(number);
      const at = Number(number);
      if (at === 200) splice = made.splice();
      if (at === 400) splice?.stop();
      // Some rounds of the engine fall between them, at other places in each run.
      if (at % 7 === 0) await delay(0);
      if (at === 300) await until(() => (splice?.statistics().payloadsIn ?? 0) > 0);
    }
    await until(() => atTarget.length >= all.length && atClient.length >= all.length);
    assert.deepEqual(atTarget, all);
    assert.deepEqual(atClient, all);
    const { payloadsIn, payloadsOut } = splice?.statistics() ?? { payloadsIn: 0, payloadsOut: 0 };
    assert.ok(payloadsIn > 0 && payloadsOut > 0, 'the splice had its part');
    assert.ok(payloadsIn < all.length && payloadsOut < all.length, 'and JavaScript too');
  });

  test('stopped before it began: JavaScript goes on and nothing is lost', limit, async () => {
    const made = await tunnel();
    const { atTarget, atClient, toTarget, toClient } = made;
    const all = numbers(100);
    for (const number of all) {
      toTarget(number);
      toClient(number);
      if (number === '50') {
        const splice = made.splice();
        splice.stop();
        splice.stop();
        assert.equal(splice.statistics().payloadsIn, 0);
      }
    }
    await until(() => atTarget.length >= all.length && atClient.length >= all.length);
    assert.deepEqual(atTarget, all);
    assert.deepEqual(atClient, all);
  });

  test(
    'other numbers, other contexts and what is too short go up; longer integers are the same',
    limit,
    async () => {
      const made = await tunnel();
      const { told, client, atTarget } = made;
      made.splice();
      await running(made);
      const send = (...bytes: number[]): void => {
        const datagram = Uint8Array.from(bytes);
        assert.equal(client.connection.sendDatagram(datagram, datagram, 0, 0), 'sent');
      };
      const upward = [[6, 0, 65], [NUMBER, 2, 65], [NUMBER], [NUMBER, 0x40], []];
      for (const datagram of upward) send(...datagram);
      send(0x40, NUMBER, 0, 65);
      send(NUMBER, 0x80, 0, 0, 0, 66);
      await until(() => atTarget.length === 2 && told.other.length === upward.length);
      assert.deepEqual(atTarget, ['A', 'B']);
      assert.deepEqual(
        told.other,
        upward.map((bytes) => Buffer.from(bytes)),
      );
    },
  );

  test('what does not fit is dropped and counted for each, in both directions', limit, async () => {
    const made = await tunnel();
    const splice = made.splice();
    await running(made);
    made.toClient('m'.repeat(9_000));
    made.toClient('m'.repeat(9_000));
    made.toClient('end');
    await until(() => made.atClient.includes('end'));
    assert.equal(splice.statistics().droppedOutTooLarge, 2);
    assert.deepEqual(made.atClient, ['end']);
  });

  test('DF is set: what the path to the target does not take is counted for each', limit, async (context) => {
    const told = await inNamespace(
      'ip link set lo up && ip route add local 127.0.0.9/32 dev lo table local mtu 1000',
      'narrow-path.js',
    );
    if (told === undefined) {
      context.skip('no network namespace can be made here');
      return;
    }
    assert.deepEqual(told, {
      arrived: [500, 500, 600, 700],
      problems: [],
      droppedInTooLarge: 6,
      droppedInSocket: 0,
      more: true,
    });
  });

  test('a refused packet is told as a problem', limit, async () => {
    const made = await tunnel();
    made.splice();
    await running(made);
    made.target.close();
    await until(() => {
      made.toTarget('nobody is there');
      return made.told.problems.length > 0;
    });
    assert.equal(made.told.problems[0], 'refused');
  });

  test(
    'a closed socket ends it: at once, during the hand-over, or when the client is gone',
    limit,
    async () => {
      for (const moment of ['at once', 'held', 'running', 'connection closed'] as const) {
        const made = await tunnel();
        const splice = made.splice();
        if (moment === 'held') await delay(0);
        if (moment === 'running') await running(made);
        if (moment === 'connection closed') {
          made.client.connection.close(0, '');
          await made.server.closed;
          made.toClient('too late');
        }
        made.far.close();
        const left = made.atTarget.length;
        made.toTarget('late');
        await delay(20);
        assert.equal(made.atTarget.length, left, moment);
        assert.equal(typeof splice.statistics().payloadsIn, 'number');
        splice.stop();
        // The engine goes on.
        const other = await tunnel();
        other.splice();
        await running(other);
      }
    },
  );

  test('it is for a connected socket of the same engine, once', limit, async () => {
    const made = await tunnel();
    const { connection } = made.server;
    assert.equal(connection.spliceDatagrams?.(9, made.target), undefined, 'not connected');
    made.splice().stop();
    assert.equal(connection.spliceDatagrams?.(9, made.far), undefined, 'a second time');
    const handler = { packet: () => undefined, problem: () => undefined };
    const remote = made.target.localAddress;
    const closed = await engine.udp.open({ remote }, handler);
    closed.close();
    assert.equal(connection.spliceDatagrams?.(9, closed), undefined, 'closed');
    const second = createNativeEngine();
    const stranger = await second.udp.open({ remote }, handler);
    assert.equal(connection.spliceDatagrams?.(9, stranger), undefined, 'of another engine');
    await second.close();
    // A number that has a splice already: JavaScript keeps the socket.
    const other = await tunnel();
    other.splice();
    await running(other);
    const twice = await engine.udp.open({ remote }, handler);
    const refused = other.server.connection.spliceDatagrams?.(NUMBER, twice);
    await running(other);
    assert.ok(refused);
    assert.equal(refused.statistics().payloadsIn, 0);
    assert.equal(refused.calledOff(), true);
  });

  test('a target that floods one tunnel leaves the others of its connection their part', limit, async () => {
    const made = await tunnel({ listen: { transport: { datagramSendBuffer: 64 * 1024 } } });
    const flooded = made.splice();
    await running(made);
    const handler = { packet: () => undefined, problem: () => undefined };
    const quiet = await engine.udp.open({ remote: made.target.localAddress }, handler);
    const beside = made.server.connection.spliceDatagrams?.(NUMBER + 1, quiet);
    assert.ok(beside);
    const quietAddress = { address: '127.0.0.1', port: quiet.localAddress.port };
    const drop = Buffer.alloc(1_100, 1);
    const farAddress = { address: '127.0.0.1', port: made.far.localAddress.port };
    for (let round = 0; round < 60; round++) {
      for (let count = 0; count < 100; count++) made.target.send(drop, 0, drop.length, farAddress);
      made.target.send(drop, 0, 100, quietAddress);
      await delay(1);
    }
    await until(() => beside.statistics().payloadsOut === 60);
    assert.equal(beside.statistics().droppedOutQueueFull, 0);
    assert.ok(flooded.statistics().payloadsOut > 0);
  });
});
