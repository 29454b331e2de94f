import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { QuicConnection } from '../../src/quic/connection.js';
import type { DatagramSplice } from '../../src/quic/datagram-splice.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { connectPair, delay, type Pair, until } from './pair.js';

const engine = createNativeEngine();
after(() => engine.close());
const limit = { timeout: 120_000 };

const NEAR = Uint8Array.of(5, 0);
const FAR = Uint8Array.of(0x40, 0x80, 0); // 128

interface Relay {
  /** The client of the relay, and what the relay is a client of. */
  readonly near: Pair;
  readonly far: Pair;
  readonly atClient: string[];
  readonly atHop: string[];
  readonly told: { datagrams: number; other: number };
  join(): DatagramSplice;
  up(text: string): void;
  down(text: string): void;
}

/** Two connections and JavaScript that carries datagrams from one to the other. */
async function relay(): Promise<Relay> {
  const told = { datagrams: 0, other: 0 };
  const atClient: string[] = [];
  const atHop: string[] = [];
  const record = (list: string[], head: number) => (bytes: Uint8Array, start: number, end: number) =>
    void list.push(Buffer.from(bytes.subarray(start + head, end)).toString());
  const carry = (from: Uint8Array, to: Uint8Array, other: () => QuicConnection | undefined) => {
    return (bytes: Uint8Array, start: number, end: number): void => {
      if (from.some((byte, at) => start + at >= end || bytes[start + at] !== byte)) {
        told.other++;
        return;
      }
      told.datagrams++;
      other()?.sendDatagram(to, bytes, start + from.length, end);
    };
  };
  let farSide: QuicConnection | undefined;
  let nearSide: QuicConnection | undefined;
  const near = await connectPair(engine, {
    server: { onDatagram: carry(NEAR, FAR, () => farSide) },
    client: { onDatagram: record(atClient, NEAR.length) },
  });
  const far = await connectPair(engine, {
    server: { onDatagram: record(atHop, FAR.length) },
    client: { onDatagram: carry(FAR, NEAR, () => nearSide) },
  });
  farSide = far.client.connection;
  nearSide = near.server.connection;
  const send = (connection: QuicConnection, head: Uint8Array, text: string): void => {
    const bytes = Buffer.from(text);
    assert.equal(connection.sendDatagram(head, bytes, 0, bytes.length), 'sent');
  };
  return {
    near,
    far,
    atClient,
    atHop,
    told,
    join() {
      const join = near.server.connection.joinDatagrams?.(5, far.client.connection, 128);
      assert.ok(join, 'the engine can');
      return join;
    },
    up: (text) => send(near.client.connection, NEAR, text),
    down: (text) => send(far.server.connection, FAR, text),
  };
}

async function running({ told, up, down, atClient, atHop }: Relay): Promise<void> {
  for (;;) {
    const [before, sent, received] = [told.datagrams, atHop.length, atClient.length];
    up('probe');
    down('probe');
    await until(() => atHop.length > sent && atClient.length > received);
    if (told.datagrams === before) break;
  }
  atHop.length = 0;
  atClient.length = 0;
}

describe('a splice of two connections', () => {
  test(
    'moves payloads both ways under other numbers, without JavaScript, and counts them',
    limit,
    async () => {
      const made = await relay();
      const join = made.join();
      await running(made);
      const [before, told] = [join.statistics(), made.told.datagrams];
      const payloads = ['', 'x', 'y'.repeat(1_200)];
      for (const payload of payloads) {
        made.up(payload);
        made.down(payload);
      }
      await until(() => made.atHop.length === 3 && made.atClient.length === 3);
      assert.deepEqual(made.atHop, payloads);
      assert.deepEqual(made.atClient, payloads);
      assert.equal(made.told.datagrams, told, 'JavaScript heard nothing');
      const after = join.statistics();
      assert.equal(after.payloadsIn - before.payloadsIn, 3);
      assert.equal(after.payloadsOut - before.payloadsOut, 3);
      assert.equal(after.bytesIn - before.bytesIn, 1_201);
      assert.equal(after.bytesOut - before.bytesOut, 1_201);
      const { connection } = made.near.client;
      connection.sendDatagram(Uint8Array.of(5, 2), NEAR, 0, 0);
      connection.sendDatagram(Uint8Array.of(6, 0), NEAR, 0, 0);
      await until(() => made.told.other === 2);
    },
  );

  test('keeps the order over the hand-over and over the way back, and loses nothing', limit, async () => {
    const made = await relay();
    const all = Array.from({ length: 600 }, (_, index) => String(index));
    let join: DatagramSplice | undefined;
    for (const [at, number] of all.entries()) {
      made.up(number);
      made.down(number);
      if (at === 200) join = made.join();
      if (at === 400) join?.stop();
      if (at % 7 === 0) await delay(0);
      if (at === 300) await until(() => (join?.statistics().payloadsIn ?? 0) > 0);
    }
    await until(() => made.atHop.length >= all.length && made.atClient.length >= all.length);
    assert.deepEqual(made.atHop, all);
    assert.deepEqual(made.atClient, all);
    const { payloadsIn, payloadsOut } = join?.statistics() ?? { payloadsIn: 0, payloadsOut: 0 };
    assert.ok(payloadsIn > 0 && payloadsIn < all.length, `${payloadsIn}`);
    assert.ok(payloadsOut > 0 && payloadsOut < all.length, `${payloadsOut}`);
  });

  test('either connection may end, at once or later; the other goes on', limit, async () => {
    for (const moment of ['at once', 'held', 'running'] as const) {
      for (const which of ['near', 'far'] as const) {
        const made = await relay();
        const join = made.join();
        if (moment === 'held') await delay(0);
        if (moment === 'running') await running(made);
        const [ending, staying] = which === 'near' ? [made.near, made.far] : [made.far, made.near];
        ending.server.connection.close(0, '');
        await ending.client.closed;
        await ending.server.closed;
        if (which === 'near') made.down('to nobody');
        else made.up('to nobody');
        join.stop();
        join.stop();
        const head = Uint8Array.of(9);
        const told = made.told.other;
        if (which === 'near') staying.server.connection.sendDatagram(head, head, 0, 0);
        else staying.client.connection.sendDatagram(head, head, 0, 0);
        await until(() => made.told.other > told);
        assert.equal(typeof join.statistics().payloadsIn, 'number');
      }
    }
  });

  test('it is for two connections of the same engine, and a number has one splice', limit, async () => {
    const made = await relay();
    const { connection } = made.near.server;
    assert.equal(connection.joinDatagrams?.(5, connection, 6), undefined, 'with itself');
    const second = createNativeEngine();
    const stranger = await connectPair(second);
    assert.equal(connection.joinDatagrams?.(5, stranger.client.connection, 6), undefined, 'another engine');
    await second.close();
    made.join();
    await running(made);
    const other = await relay();
    const refused = connection.joinDatagrams?.(7, made.far.client.connection, 128);
    await running(made);
    assert.equal(refused?.statistics().payloadsIn, 0);
    refused?.stop();
    other.near.client.connection.close(0, '');
    await other.near.server.closed;
    const gone = other.near.server.connection.joinDatagrams?.(5, made.far.client.connection, 9);
    assert.equal(gone, undefined, 'a closed connection');
  });
});
