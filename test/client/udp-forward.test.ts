import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseForward } from '../../src/client/forward-spec.js';
import { openUdpForward, type UdpForwardEvent } from '../../src/client/udp-forward.js';
import { createVirtualClock } from '../../src/clock/virtual-clock.js';
import type { StreamOutcome } from '../../src/http/tunnel-stream.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { ErrorCode } from '../../src/protocol/failures.js';
import type { SocketAddress } from '../../src/quic/address.js';
import {
  UdpOpenError,
  type UdpProblem,
  type UdpSocketHandler,
  type UdpSockets,
} from '../../src/quic/udp-socket.js';
import type { OpenUdpTunnel, UdpTunnelHandler } from '../../src/tunnel/udp/open-udp.js';
import { zeroUdpTunnelStatistics } from '../../src/tunnel/udp/tunnel-statistics.js';

function fakeTunnel(handler: UdpTunnelHandler) {
  const sent: string[] = [];
  let finish: (outcome: StreamOutcome) => void = () => undefined;
  let ended = false;
  const closed = new Promise<StreamOutcome>((resolve) => {
    finish = resolve;
  });
  const tunnel: OpenUdpTunnel = {
    ready: Promise.resolve({ status: 200, fields: [] }),
    maxPayloadSize: 1_200,
    send(bytes, start, end) {
      if (end - start > 1_200) return 'too-large';
      sent.push(Buffer.from(bytes.slice(start, end)).toString());
      return 'sent';
    },
    statistics: zeroUdpTunnelStatistics,
    end() {
      ended = true;
      finish({ kind: 'ended' });
    },
    reset: () => undefined,
    closed,
  };
  return {
    tunnel,
    sent,
    finish,
    answer(text: string) {
      const bytes = Buffer.from(`..${text}..`);
      handler.payload(bytes, 2, bytes.length - 2);
    },
    get ended() {
      return ended;
    },
  };
}

async function setting(options: { maxPeers?: number } = {}) {
  const clock = createVirtualClock();
  const events: UdpForwardEvent[] = [];
  const tunnels: ReturnType<typeof fakeTunnel>[] = [];
  const out: string[] = [];
  const gate: { wait: Promise<void> | undefined; fail: BautaError | undefined } = {
    wait: undefined,
    fail: undefined,
  };
  let handler: UdpSocketHandler | undefined;
  let socketClosed = false;
  const sockets: UdpSockets = {
    async open(_, given) {
      handler = given;
      return {
        localAddress: { address: '127.0.0.1', port: 5353 },
        send(bytes, start, end, to) {
          out.push(`${to?.port} ${Buffer.from(bytes.slice(start, end))}`);
          return 'sent';
        },
        statistics: () => {
          throw new Error('not part of this fake');
        },
        close() {
          socketClosed = true;
        },
      };
    },
  };
  const forward = await openUdpForward({
    sockets,
    local: { address: '127.0.0.1', port: 0 },
    clock,
    event: (event) => events.push(event),
    async open(tunnelHandler) {
      await gate.wait;
      if (gate.fail) throw gate.fail;
      const made = fakeTunnel(tunnelHandler);
      tunnels.push(made);
      return made.tunnel;
    },
    ...options,
  });
  const from = (port: number): SocketAddress => ({ address: '127.0.0.1', port });
  return {
    clock,
    events,
    tunnels,
    out,
    gate,
    forward,
    get socketClosed() {
      return socketClosed;
    },
    async arrive(port: number, text: string) {
      const bytes = Buffer.from(`--${text}-`);
      handler?.packet(bytes, 2, bytes.length - 1, from(port));
      await clock.advanceAsync(0);
    },
  };
}

test('each local peer has its own tunnel, and answers go to it', async () => {
  const { arrive, tunnels, out, forward } = await setting();
  await arrive(1, 'a');
  await arrive(2, 'b');
  await arrive(1, 'c');
  assert.deepEqual(
    tunnels.map(({ sent }) => sent),
    [['a', 'c'], ['b']],
  );
  tunnels[1]?.answer('to two');
  tunnels[0]?.answer('to one');
  assert.deepEqual(out, ['2 to two', '1 to one']);
  assert.deepEqual(forward.statistics(), { peers: 2, sent: 3, received: 2, dropped: 0 });
});

test('what comes while the tunnel is opened waits, the oldest given up first', async () => {
  const { arrive, tunnels, gate, forward } = await setting();
  let open: () => void = () => undefined;
  gate.wait = new Promise((resolve) => {
    open = resolve;
  });
  for (let count = 0; count < 40; count++) await arrive(1, String(count));
  open();
  await arrive(1, 'last');
  assert.equal(tunnels.length, 1);
  assert.equal(tunnels[0]?.sent[0], '9');
  assert.equal(tunnels[0]?.sent.at(-1), 'last');
  assert.equal(forward.statistics().sent, 32);
});

test('a tunnel that ends is opened again with the next datagram, and not before', async () => {
  const { arrive, tunnels, events, clock } = await setting();
  await arrive(1, 'a');
  tunnels[0]?.finish({ kind: 'lost', reason: 'timeout', detail: '' });
  await clock.advanceAsync(60_000);
  assert.equal(tunnels.length, 1);
  await arrive(1, 'b');
  assert.deepEqual(
    tunnels.map(({ sent }) => sent),
    [['a'], ['b']],
  );
  assert.deepEqual(
    events.map(({ type }) => type),
    ['peer-opened', 'peer-closed', 'peer-opened'],
  );
});

test('a tunnel that cannot be opened is tried again after a second, with the next datagram', async () => {
  const { arrive, tunnels, events, gate, clock, forward } = await setting();
  gate.fail = new BautaError('ERR_TARGET_REFUSED');
  await arrive(1, 'a');
  await arrive(1, 'b');
  assert.equal(events.length, 1);
  assert.ok(events[0]?.type === 'peer-failed' && events[0].error.code === 'ERR_TARGET_REFUSED');
  gate.fail = undefined;
  await clock.advanceAsync(1_000);
  await arrive(1, 'c');
  assert.deepEqual(
    tunnels.map(({ sent }) => sent),
    [['c']],
  );
  assert.equal(forward.statistics().dropped, 2);
});

test('a quiet peer is given up after two and a half minutes, traffic in either direction keeps it', async () => {
  const { arrive, tunnels, clock, events } = await setting();
  await arrive(1, 'a');
  await arrive(2, 'b');
  await clock.advanceAsync(100_000);
  tunnels[1]?.answer('still here');
  await clock.advanceAsync(70_000);
  assert.deepEqual(
    tunnels.map(({ ended }) => ended),
    [true, false],
  );
  assert.ok(
    events.some((event) => event.type === 'peer-closed' && event.reason === 'idle' && event.peer.port === 1),
  );
});

test('too many peers: a new one waits until another was quiet for ten seconds', async () => {
  const { arrive, tunnels, clock, forward } = await setting({ maxPeers: 2 });
  await arrive(1, 'a');
  await arrive(2, 'b');
  await arrive(3, 'c');
  assert.equal(tunnels.length, 2);
  assert.equal(forward.statistics().dropped, 1);
  await clock.advanceAsync(11_000);
  await arrive(2, 'b');
  await arrive(3, 'c');
  assert.equal(tunnels.length, 3);
  assert.deepEqual(
    tunnels.map(({ ended }) => ended),
    [true, false, false],
  );
});

test('closing ends every tunnel and the socket, and leaves no timer', async () => {
  const all = await setting();
  await all.arrive(1, 'a');
  await all.forward.close();
  await all.forward.close();
  assert.deepEqual([all.tunnels[0]?.ended, all.socketClosed, all.clock.pending], [true, true, 0]);
});

const problems: readonly (readonly [UdpProblem, string, ErrorCode])[] = [
  ['no-ports', 'EADDRINUSE', 'ERR_PORT_IN_USE'],
  ['denied', 'EACCES', 'ERR_PORT_PRIVILEGE'],
  ['no-ports', 'EADDRNOTAVAIL', 'ERR_ADDRESS_UNAVAILABLE'],
];
for (const [problem, errno, code] of problems) {
  test(`${code}: the local port of a forward cannot be had (${errno})`, async () => {
    const opening = openUdpForward({
      sockets: { open: () => Promise.reject(new UdpOpenError(problem, errno)) },
      local: { address: '127.0.0.1', port: 53 },
      clock: createVirtualClock(),
      event: () => undefined,
      open: () => Promise.reject(new Error('never')),
    });
    await assert.rejects(opening, (error) => error instanceof BautaError && error.code === code);
  });
}

test('LOCAL=TARGET is read in all its forms', () => {
  const read = (text: string) => {
    const { addresses, port, target, loopback } = parseForward(text);
    return [addresses.join(' '), port, target, loopback];
  };
  assert.deepEqual(read('5353=a.example:53'), ['127.0.0.1', 5353, 'a.example:53', true]);
  assert.deepEqual(read('localhost:0=[2001:db8::1]:53'), ['127.0.0.1 ::1', 0, '[2001:db8::1]:53', true]);
  assert.deepEqual(read('[::1]:1=b:2'), ['::1', 1, 'b:2', true]);
  assert.deepEqual(read('192.0.2.1:1=b:2'), ['192.0.2.1', 1, 'b:2', false]);
  assert.deepEqual(read('*:1=b:2'), ['::', 1, 'b:2', false]);
  for (const bad of ['', '=', '53', '53=', '=a:53', 'x=a:53', '65536=a:53', '::1:53=a:53', 'name:53=a:53']) {
    assert.throws(
      () => parseForward(bad),
      (error) => error instanceof BautaError && error.code === 'ERR_USAGE',
    );
  }
});
