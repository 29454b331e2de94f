import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createUdpFlow } from '../../src/client/udp-flow.js';
import { createVirtualClock } from '../../src/clock/virtual-clock.js';
import { type UdpSocketHandler, zeroUdpSocketStatistics } from '../../src/quic/udp-socket.js';
import type { OpenUdpTunnel } from '../../src/tunnel/udp/open-udp.js';
import { zeroUdpTunnelStatistics } from '../../src/tunnel/udp/tunnel-statistics.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A flow with a tunnel and a socket that note what is done to them, spliced after two datagrams. */
async function splicedFlow(open: 'works' | 'fails' = 'works') {
  const moved = { ...zeroUdpTunnelStatistics(), payloadsOut: 0, payloadsIn: 0 };
  const sent: string[] = [];
  let own: UdpSocketHandler | undefined;
  let closed = 0;
  const tunnel: OpenUdpTunnel = {
    ready: Promise.resolve({ status: 200, fields: [] }),
    maxPayloadSize: 1_200,
    send(bytes, start, end) {
      sent.push(Buffer.from(bytes.subarray(start, end)).toString());
      return 'sent';
    },
    splice: () => ({ calledOff: () => false, statistics: () => moved, stop: () => undefined }),
    statistics: zeroUdpTunnelStatistics,
    end: () => undefined,
    reset: () => undefined,
    closed: new Promise(() => undefined),
  };
  const clock = createVirtualClock();
  const flow = createUdpFlow({
    open: async () => tunnel,
    clock,
    payload: () => undefined,
    opened: () => undefined,
    failed: () => undefined,
    ended: () => undefined,
    count: () => undefined,
    splice: {
      after: 2,
      async open(handler) {
        if (open === 'fails') throw new Error('there is none');
        own = handler;
        return {
          localAddress: { address: '127.0.0.1', port: 1 },
          send: () => 'sent',
          statistics: zeroUdpSocketStatistics,
          close() {
            closed += 1;
          },
        };
      },
    },
  });
  const send = async (text: string): Promise<void> => {
    const bytes = Buffer.from(text);
    flow.send(bytes, 0, bytes.length);
    await turn();
  };
  await send('a');
  assert.equal(flow.dataPath, 'js');
  await send('b');
  return { flow, clock, moved, sent, send, own: () => own, closed: () => closed };
}

test('after so many datagrams the peer has a socket of its own, whose splice counts as activity', async () => {
  const { flow, clock, moved, closed } = await splicedFlow();
  assert.equal(flow.dataPath, 'splice');
  assert.deepEqual(flow.moved(), { sent: 0, received: 0, dropped: 0 });
  clock.advance(1_000);
  assert.equal(flow.lastActive, 0);
  Object.assign(moved, { payloadsOut: 3, payloadsIn: 5, droppedInSocket: 1, droppedOutQueueFull: 2 });
  assert.equal(flow.lastActive, 1_000);
  clock.advance(1_000);
  assert.equal(flow.lastActive, 1_000);
  assert.deepEqual(flow.moved(), { sent: 3, received: 4, dropped: 3 });
  flow.end();
  flow.end();
  assert.equal(closed(), 1);
});

test('a peer whose socket is of no use any more is served by JavaScript again', async () => {
  for (const problem of ['network-unreachable', 'host-unreachable', 'other'] as const) {
    const { flow, moved, sent, send, own, closed } = await splicedFlow();
    Object.assign(moved, { payloadsOut: 3 });
    own()?.problem(problem, 'E');
    own()?.problem(problem, 'E');
    assert.deepEqual([closed(), flow.dataPath], [1, 'js']);
    await send('c');
    assert.deepEqual(sent, ['a', 'b', 'c']);
    assert.equal(flow.moved()?.sent, 3, 'what was moved stays counted');
  }
});

test('what concerns one datagram, and an app that is away for a moment, leave it its socket', async () => {
  for (const problem of ['refused', 'too-large', 'no-memory', 'denied'] as const) {
    const { flow, own, closed } = await splicedFlow();
    own()?.problem(problem, 'E');
    assert.deepEqual([closed(), flow.dataPath], [0, 'splice']);
  }
});

test('where there can be no such socket JavaScript goes on', async () => {
  const { flow, sent, send } = await splicedFlow('fails');
  await send('c');
  assert.deepEqual([sent, flow.dataPath, flow.moved()], [['a', 'b', 'c'], 'js', undefined]);
});
