import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf } from '../../../src/protocol/reset-reason.js';
import { sideEndOf } from '../../../src/tunnel/side-end.js';
import type { TcpForm } from '../../../src/tunnel/tcp/tcp-form.js';
import { forms, opened, type TcpPairOptions, type TcpTunnelPair, tcpTunnelPair } from './tcp-tunnel-pair.js';
import { type World, worlds } from './worlds.js';

const limit = { timeout: 120_000 };

type Body = (pair: TcpTunnelPair, world: World, form: TcpForm) => Promise<void>;

/** Runs a test in every form over every version. */
function everywhere(
  title: string,
  body: Body,
  options: TcpPairOptions = {},
  only?: (world: World) => boolean,
): void {
  for (const world of worlds) {
    if (only && !only(world)) continue;
    for (const form of forms) {
      test(`${title} (${form.name}, ${world.name})`, limit, async () => {
        const pair = await tcpTunnelPair(world, form, options);
        try {
          await body(pair, world, form);
        } finally {
          await pair.close();
        }
      });
    }
  }
}

const big = Buffer.alloc(300_000, 'abcdefghijklmnopqrstuvwxyz0123456789');

everywhere('bytes both ways, an end each way, and the counters', async (pair) => {
  const { tunnel, seen, send, target, serving, head } = await opened(pair);
  assert.equal(head?.status, 200);
  assert.ok(head?.fields.some(([name, value]) => name === 'proxy-status' && value.includes('192.0.2.6:443')));
  send('GET / HTTP/1.0\r\n\r\n');
  await pair.until(() => target.text() === 'GET / HTTP/1.0\r\n\r\n', 'the request');
  target.tell('HTTP/1.0 200 OK\r\n\r\nhello');
  await pair.until(() => seen.text().endsWith('hello'), 'the answer');
  tunnel.end();
  await pair.until(() => target.ended, 'the FIN at the target');
  target.tellEnd();
  await pair.until(() => seen.over !== undefined, 'the end');
  assert.deepEqual(seen.order, ['data', 'end', 'closed']);
  assert.deepEqual(seen.over, { kind: 'ended' });
  const { cause, outcome } = await serving.closed;
  assert.deepEqual([cause, outcome], [{ kind: 'ended' }, { kind: 'ended' }]);
  assert.deepEqual(await tunnel.closed, { kind: 'ended' });
  assert.deepEqual(serving.statistics(), { bytesIn: 18, bytesOut: 24 });
  assert.deepEqual(tunnel.statistics(), { bytesIn: 24, bytesOut: 18 });
  assert.deepEqual(target.resets, []);
});

everywhere('W6: bytes after the FIN of the target reach it, and its FIN is told at once', async (pair) => {
  const { tunnel, seen, send, target } = await opened(pair);
  target.tell('goodbye');
  target.tellEnd();
  await pair.until(() => seen.ended, 'the FIN of the target');
  assert.equal(seen.text(), 'goodbye');
  for (let round = 1; round <= 3; round++) {
    send(big);
    await pair.until(
      () => target.written.reduce((sum, { length }) => sum + length, 0) === round * big.length,
      'late bytes',
    );
  }
  assert.equal(target.over, undefined);
  assert.equal(seen.over, undefined);
  tunnel.end();
  await pair.until(() => target.over !== undefined && seen.over !== undefined, 'the end');
  assert.deepEqual([target.over, seen.over], [{ kind: 'ended' }, { kind: 'ended' }]);
  assert.ok(Buffer.concat(target.written).equals(Buffer.concat([big, big, big])));
});

everywhere('W6: bytes of the target after the FIN of the client are not lost', async (pair) => {
  const { tunnel, seen, send, target } = await opened(pair);
  send('that is all');
  tunnel.end();
  await pair.until(() => target.ended, 'the FIN of the client');
  assert.equal(target.text(), 'that is all');
  for (let round = 1; round <= 5; round++) {
    await pair.until(() => target.credit >= 60_000, 'credit');
    target.tell(big.subarray(0, 60_000));
    await pair.until(() => seen.bytes === round * 60_000, 'late bytes');
  }
  target.tellEnd();
  await pair.until(() => seen.over !== undefined, 'the end');
  assert.deepEqual([target.over, seen.over], [{ kind: 'ended' }, { kind: 'ended' }]);
});

everywhere('a reset of the target is CONNECT_ERROR at the client', async (pair, world) => {
  const { seen, tunnel, target, serving } = await opened(pair);
  target.tell('so far');
  await pair.until(() => seen.text() === 'so far', 'bytes');
  target.tellReset('connect-error');
  await pair.until(() => seen.over !== undefined, 'the reset');
  assert.equal(seen.ended, false, 'a reset is no end');
  const outcome = await tunnel.closed;
  assert.equal(outcome.kind, 'reset');
  if (outcome.kind !== 'reset') return;
  assert.equal(outcome.by, 'peer');
  assert.equal(outcome.code, world.version === 'h1' ? undefined : codeOf('connect-error', world.version));
  assert.deepEqual(seen.over, sideEndOf(outcome));
  assert.deepEqual((await serving.closed).cause, {
    kind: 'far',
    how: { kind: 'reset', reason: 'connect-error' },
  });
});

everywhere('a reset by the client is a reset of the target, never a FIN', async (pair) => {
  const { tunnel, send, target, serving, seen } = await opened(pair);
  send('half a request');
  await pair.until(() => target.text() === 'half a request', 'bytes');
  tunnel.reset('cancelled');
  await pair.until(() => target.over !== undefined, 'the reset');
  assert.equal(target.ended, false);
  assert.equal(target.resets.length, 1);
  assert.equal((await serving.closed).cause.kind, 'client');
  await pair.until(() => seen.over !== undefined, 'its own end');
  assert.equal(seen.over?.kind, 'reset');
});

everywhere(
  'a client that is lost is a reset of the target, never a FIN',
  async (pair) => {
    const { send, target, serving, seen } = await opened(pair);
    send('half a request');
    await pair.until(() => target.text() === 'half a request', 'bytes');
    void pair.client.close();
    await pair.until(() => target.over !== undefined && seen.over !== undefined, 'the reset');
    assert.equal(seen.over?.kind, 'lost');
    if (pair.form.kind === 'connect' && pair.client.version === 'h1') {
      // A bare FIN is the end of classic CONNECT over HTTP/1.1: then nobody reads, and the next byte resets.
      return;
    }
    assert.equal(target.ended, false);
    assert.deepEqual(target.resets, ['internal-error']);
    const { cause, outcome } = await serving.closed;
    assert.equal(cause.kind, 'client');
    assert.equal(outcome.kind, 'lost');
  },
  {},
  ({ name }) => name !== 'h1',
);

everywhere('a target that is lost behind the next hop is CONNECT_ERROR', async (pair) => {
  const { seen, target, serving, tunnel } = await opened(pair);
  target.tellLost('the hop is gone');
  await pair.until(() => seen.over !== undefined, 'the reset');
  const outcome = await tunnel.closed;
  assert.equal(outcome.kind === 'reset' && outcome.by, 'peer');
  assert.deepEqual((await serving.closed).cause, {
    kind: 'far',
    how: { kind: 'lost', detail: 'the hop is gone' },
  });
});
