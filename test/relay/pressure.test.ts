import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TunnelStream } from '../../src/http/tunnel-stream.js';
import { createFakeChain, exitSocket, type FakeChain, type HopSpec, udpCounters } from './fake-chain.js';

const options = { timeout: 120_000 };
/** Bytes a second; slow enough that a flood waits for minutes. */
const slow = { bandwidth: 20_000 };

function numbered(count: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => {
    const payload = Buffer.alloc(1_000);
    payload.writeUInt32BE(index);
    return payload;
  });
}

const numbers = (payloads: readonly Buffer[]): number[] => payloads.map((payload) => payload.readUInt32BE(0));

/** A tunnel through two proxies of which the path to the second is slow. */
async function throughSlowHop(version: NonNullable<HopSpec['version']>) {
  const chain = createFakeChain({}, { version, conditions: slow });
  const tunnel = chain.ask(chain.connect(), '8.8.8.8/53');
  await chain.pass(2_000);
  await tunnel.ready;
  return { chain, tunnel };
}

describe('pressure through a relay', { ...options, timeout: 600_000 }, () => {
  test(
    'C4: over capsules the newest datagrams are dropped before a slow hop, and counted',
    options,
    async () => {
      const { chain, tunnel } = await throughSlowHop('h2');
      for (const payload of numbered(600)) {
        tunnel.send(payload, 0, payload.length);
        await chain.pass(1);
      }
      await chain.pass(100_000);
      const arrived = numbers(exitSocket(chain.hop(1)).sent);
      const { droppedInSocket, payloadsIn } = udpCounters(chain.hop(0));
      assert.ok(droppedInSocket > 100, `${droppedInSocket} dropped`);
      assert.equal(arrived.length + droppedInSocket, payloadsIn);
      // Those that came first are all there: 256 KiB wait, and no more is taken then.
      assert.deepEqual(
        arrived.slice(0, 260),
        Array.from({ length: 260 }, (_, index) => index),
      );
    },
  );

  test('C4: over QUIC the oldest datagrams are dropped before a slow hop', options, async () => {
    const { chain, tunnel } = await throughSlowHop('h3');
    for (const payload of numbered(600)) {
      tunnel.send(payload, 0, payload.length);
      await chain.pass(1);
    }
    await chain.pass(100_000);
    const arrived = numbers(exitSocket(chain.hop(1)).sent);
    assert.ok(arrived.length < 500, `${arrived.length} arrived`);
    assert.ok((arrived.at(-1) ?? 0) > 550, `${arrived.at(-1)} was the last`);
    const counted = await chain.hop(1).pairs[0]?.client.statistics();
    assert.equal(counted?.datagramsDroppedSending, 600 - arrived.length);
  });

  test('C4: a slow client makes the relay drop, and count, what the target sends', options, async () => {
    const chain = createFakeChain({ version: 'h2', conditions: slow }, {});
    const tunnel = chain.ask(chain.connect(), '8.8.8.8/53');
    await chain.pass(2_000);
    await tunnel.ready;
    const socket = exitSocket(chain.hop(1));
    for (const payload of numbered(600)) {
      socket.deliver(payload);
      await chain.pass(1);
    }
    await chain.pass(100_000);
    const dropped = udpCounters(chain.hop(0)).droppedOutQueueFull;
    assert.ok(dropped > 100, `${dropped} dropped`);
    assert.equal(tunnel.payloads.length + dropped, 600);
  });

  test('C4: capsules are never dropped: a slow hop holds back the client', options, async () => {
    const chain = createFakeChain({ version: 'h2' }, { version: 'h2', conditions: { bandwidth: 60_000 } });
    const client = openRaw(chain);
    await chain.pass(2_000);
    const capsule = Buffer.concat([Buffer.from([0x29, 0x80, 0, 0x27, 0x10]), Buffer.alloc(10_000, 1)]);
    const total = 200;
    let written = 0;
    const fill = (): void => {
      for (let room = true; room && written < total; written += 1) {
        room = client.stream.write(capsule, 0, capsule.length);
      }
    };
    client.drained = fill;
    fill();
    await chain.pass(1_000);
    const early = written;
    // What the relay may hold: its receive window, its queue to the hop, and the hop's window on a slow path.
    assert.ok(early * capsule.length < 900_000, `${early} capsules`);
    await chain.pass(10_000);
    assert.ok(written - early < 90, `${written - early} more in 10 s at 60 kB/s`);
    await chain.pass(100_000);
    assert.equal(written, total);
    // The tunnel is alive and all came in order: a datagram behind them arrives.
    client.stream.write(Buffer.from([0, 3, 0, 104, 105]), 0, 5);
    await chain.pass(20_000);
    assert.deepEqual(exitSocket(chain.hop(1)).sent.map(String), ['hi']);
  });
});

function openRaw(chain: FakeChain): { stream: TunnelStream; drained: () => void } {
  const client = { drained: (): void => undefined };
  const stream = chain.connect().client.open(
    {
      kind: 'extended',
      protocol: 'connect-udp',
      scheme: 'https',
      authority: 'hop-0.test',
      path: '/.well-known/masque/udp/8.8.8.8/53/',
      fields: [['authorization', `Basic ${Buffer.from('client:secret-0').toString('base64')}`]],
    },
    {
      response: () => undefined,
      data: () => undefined,
      end: () => undefined,
      datagram: () => undefined,
      drain: () => client.drained(),
      closed: () => undefined,
    },
  );
  return Object.assign(client, { stream });
}
