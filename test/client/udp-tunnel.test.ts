import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TunnelEnd } from '../../src/client/tunnel-end.js';
import { ClientUdpTunnel } from '../../src/client/udp-tunnel.js';
import type { StreamOutcome } from '../../src/http/tunnel-stream.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { OpenUdpTunnel } from '../../src/tunnel/udp/open-udp.js';
import { zeroUdpTunnelStatistics } from '../../src/tunnel/udp/tunnel-statistics.js';

function setting() {
  let finish: (outcome: StreamOutcome) => void = () => undefined;
  const raw: OpenUdpTunnel = {
    ready: Promise.resolve({ status: 200, fields: [] }),
    maxPayloadSize: 1_200,
    send: (_, start, end) => (end - start > 1_200 ? 'too-large' : 'sent'),
    statistics: zeroUdpTunnelStatistics,
    end: () => finish({ kind: 'ended' }),
    reset: () => undefined,
    closed: new Promise((resolve) => {
      finish = resolve;
    }),
  };
  const holds: boolean[] = [];
  const owner = { closing: false, hold: (held: boolean) => holds.push(held) };
  const tunnel = new ClientUdpTunnel(raw, { address: '192.0.2.1', port: 53, family: 'IPv4' }, owner);
  const deliver = (text: string): void => {
    const bytes = Buffer.from(text);
    tunnel.deliver(bytes, 0, bytes.length);
  };
  return { tunnel, deliver, owner, holds, finish: (outcome: StreamOutcome) => finish(outcome) };
}

const lost: StreamOutcome = { kind: 'lost', reason: 'timeout', detail: 'nothing was heard' };

async function read(tunnel: AsyncIterable<Buffer>): Promise<string[]> {
  const found: string[] = [];
  for await (const datagram of tunnel) found.push(datagram.toString());
  return found;
}

test('unread datagrams are bounded, the oldest dropped and counted', async () => {
  const { tunnel, deliver, finish } = setting();
  for (let count = 0; count < 1_100; count++) deliver(String(count));
  assert.deepEqual([tunnel.stats().unread, tunnel.stats().droppedUnread], [1_024, 76]);
  finish({ kind: 'ended' });
  const found = await read(tunnel);
  assert.deepEqual([found.length, found[0], found.at(-1)], [1_024, '76', '1099']);
});

test('what came before the first message listener is told to it, in order', async () => {
  const { tunnel, deliver } = setting();
  deliver('a');
  deliver('b');
  const found: string[] = [];
  tunnel.on('message', (message: Buffer) => found.push(message.toString()));
  deliver('c');
  await new Promise((resolve) => setImmediate(resolve));
  deliver('d');
  assert.deepEqual(found, ['a', 'b', 'c', 'd']);
});

test('a message is the receiver’s own: later packets do not change it', () => {
  const { tunnel } = setting();
  const kept: Buffer[] = [];
  tunnel.on('message', (message: Buffer) => kept.push(message));
  const batch = Buffer.from('onetwo');
  tunnel.deliver(batch, 0, 3);
  tunnel.deliver(batch, 3, 6);
  batch.fill('x');
  assert.deepEqual(kept.map(String), ['one', 'two']);
});

test('a listener that throws does not stop the delivery; its error is thrown to the program afterwards', (t) => {
  const { tunnel, deliver } = setting();
  const later: (() => void)[] = [];
  t.mock.method(process, 'nextTick', (callback: () => void) => later.push(callback));
  tunnel.once('message', () => {
    throw new Error('a mistake of the program');
  });
  deliver('a');
  t.mock.restoreAll();
  assert.equal(later.length, 1);
  assert.throws(() => later[0]?.(), /a mistake of the program/);
});

test('each kind of end is another thing to closed, to the close event and to iteration', async () => {
  const cases: readonly (readonly [StreamOutcome, TunnelEnd['kind'], string | undefined])[] = [
    [{ kind: 'ended' }, 'ended', undefined],
    [lost, 'lost', 'ERR_CONNECTION_LOST'],
    [
      { kind: 'reset', by: 'peer', reason: 'connect-error', code: 0x10f, version: 'h3' },
      'reset',
      'ERR_TUNNEL_RESET',
    ],
    [{ kind: 'reset', by: 'local', reason: 'cancelled', code: 0x10c, version: 'h3' }, 'reset', undefined],
  ];
  for (const [outcome, kind, code] of cases) {
    const { tunnel, deliver, finish } = setting();
    const told: string[] = [];
    tunnel.on('close', (end: TunnelEnd) => told.push(end.kind));
    deliver('last words');
    const waiting = read(tunnel);
    finish(outcome);
    assert.equal((await tunnel.closed).kind, kind);
    assert.deepEqual(told, [kind]);
    if (code === undefined) assert.deepEqual(await waiting, ['last words']);
    else await assert.rejects(waiting, (error) => error instanceof BautaError && error.code === code);
  }
});

test('ERR_CLOSED: tunnels of a client that its user closed', async () => {
  const { tunnel, owner, finish } = setting();
  owner.closing = true;
  finish({ kind: 'lost', reason: 'closed', detail: '' });
  const end = await tunnel.closed;
  assert.ok(end.kind === 'lost' && end.error.code === 'ERR_CLOSED');
});

test('ref, unref and the end decide whether the process is held', async () => {
  const { tunnel, holds } = setting();
  assert.equal(tunnel.unref().ref(), tunnel);
  await new Promise<void>((resolve) => tunnel.close(resolve));
  tunnel.ref();
  assert.deepEqual(holds, [true, false, true, false]);
});

test('await using closes the tunnel', async () => {
  const { tunnel } = setting();
  {
    await using _ = tunnel;
  }
  assert.deepEqual(await tunnel.closed, { kind: 'ended' });
});
