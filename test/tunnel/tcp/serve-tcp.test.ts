import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VirtualClock } from '../../../src/clock/virtual-clock.js';
import type { ResponseHead } from '../../../src/http/request.js';
import { encodeCapsule } from '../../../src/protocol/capsule.js';
import { newestConnectTcpCapsules } from '../../../src/protocol/connect-tcp.js';
import { codeOf } from '../../../src/protocol/reset-reason.js';
import { FLOW_WINDOW } from '../../../src/tunnel/tcp/byte-flow.js';
import type { TcpDialOutcome } from '../../../src/tunnel/tcp/serve-tcp.js';
import type { TcpForm } from '../../../src/tunnel/tcp/tcp-form.js';
import { createRecorder } from '../../http/conformance/recorder.js';
import { scriptedSide, sideRecorder } from './scripted-side.js';
import {
  ask,
  newest,
  opened,
  plenty,
  type TcpPairOptions,
  type TcpTunnelPair,
  tcpTunnelPair,
} from './tcp-tunnel-pair.js';
import { type World, worlds } from './worlds.js';

const limit = { timeout: 120_000 };
const classic: TcpForm = { kind: 'connect' };
const both = [classic, newest];

type Body = (pair: TcpTunnelPair, world: World) => Promise<void>;

interface Where {
  readonly forms?: readonly TcpForm[];
  readonly only?: (world: World) => boolean;
  readonly options?: () => TcpPairOptions;
}

function everywhere(title: string, body: Body, where: Where = {}): void {
  for (const world of worlds) {
    if (where.only && !where.only(world)) continue;
    for (const form of where.forms ?? both) {
      test(`${title} (${form.kind}, ${world.name})`, limit, async () => {
        const pair = await tcpTunnelPair(world, form, where.options?.());
        try {
          await body(pair, world);
        } finally {
          await pair.close();
        }
      });
    }
  }
}

const simulated = ({ name }: World): boolean => name.startsWith('fake');
const early = ({ version }: World): boolean => version !== 'h1';

const badGateway: ResponseHead = {
  status: 502,
  fields: [['proxy-status', 'proxy; error=connection_refused']],
};
const refused = async (): Promise<TcpDialOutcome> => ({ kind: 'refused', head: badGateway });

everywhere(
  'a refusal is told with its status and Proxy-Status, and nothing else',
  async (pair) => {
    const asked = ask(pair);
    asked.send('too early');
    await pair.until(() => asked.error !== undefined && asked.seen.over !== undefined, 'the refusal');
    assert.equal(asked.error?.code, 'ERR_TARGET_CLOSED');
    assert.deepEqual(asked.seen.order, ['closed']);
    assert.equal(asked.seen.over?.kind, 'reset');
    const { cause } = await pair.serving().closed;
    assert.deepEqual(cause, { kind: 'refused', status: 502 });
  },
  { options: () => ({ dial: refused }) },
);

test('S24: after a refused connect-tcp an HTTP/1.1 connection goes on', limit, async () => {
  const [h1] = worlds.filter(({ version }) => version === 'h1');
  assert.ok(h1);
  let refusals = 1;
  const pair = await tcpTunnelPair(h1, newest, {
    dial: async () => (refusals-- > 0 ? refused() : undefined),
  });
  const first = ask(pair);
  await pair.until(() => first.seen.over !== undefined, 'the refusal');
  assert.equal(first.error?.code, 'ERR_TARGET_CLOSED');
  await pair.until(() => pair.client.usable, 'the connection is free');
  const second = ask(pair);
  second.tunnel.grant(plenty);
  await pair.until(() => second.head !== undefined, 'the second answer');
  pair.target().tell('hello');
  await pair.until(() => second.seen.text() === 'hello', 'bytes');
  await pair.close();
});

test('S24: after a refused CONNECT an HTTP/1.1 connection is over', limit, async () => {
  const [h1] = worlds.filter(({ version }) => version === 'h1');
  assert.ok(h1);
  const pair = await tcpTunnelPair(h1, classic, { dial: refused });
  let close: unknown;
  pair.client.closed.then((how) => {
    close = how;
  });
  const asked = ask(pair);
  await pair.until(() => close !== undefined, 'the close');
  assert.equal(asked.error?.code, 'ERR_TARGET_CLOSED');
  assert.equal(pair.client.usable, false);
  await pair.close();
});

everywhere(
  'a dial that throws is answered with 500',
  async (pair) => {
    const asked = ask(pair);
    await pair.until(() => asked.error !== undefined, 'the answer');
    assert.equal((await pair.serving().closed).cause.kind, 'refused');
  },
  {
    options: () => ({
      dial: () => Promise.reject(new Error('a bug')),
    }),
  },
);

everywhere(
  'bytes sent before the answer wait for the target, in order and within the window',
  async (pair) => {
    const asked = ask(pair);
    const chunk = Buffer.alloc(16_384, 'optimist');
    let sent = 0;
    for (let room = true; room; sent++) room = asked.send(chunk);
    assert.ok(sent <= 8, `${sent} writes before it asked to stop`);
    await pair.until(() => pair.served.length === 1, 'the request');
    for (let round = 0; round < 5; round++) await pair.settle();
    assert.equal(pair.serving().statistics().bytesIn, 0);
    release();
    await pair.until(() => pair.targets.length === 1, 'the target');
    const target = pair.target();
    await pair.until(() => Buffer.concat(target.written).length === sent * chunk.length, 'the bytes');
    assert.ok(Buffer.concat(target.written).equals(Buffer.concat(Array(sent).fill(chunk))));
    await pair.until(() => asked.head?.status === 200, 'the answer');
  },
  {
    only: early,
    options: () => ({
      dial: () => held(undefined),
    }),
  },
);

let release: () => void = () => undefined;
function held<T>(value: T): Promise<T> {
  return new Promise((resolve) => {
    release = () => resolve(value);
  });
}

test('S24: over HTTP/1.1 no byte leaves before the answer', limit, async () => {
  const [h1] = worlds.filter(({ version }) => version === 'h1');
  assert.ok(h1);
  for (const form of both) {
    const pair = await tcpTunnelPair(h1, form, { dial: () => held(undefined) });
    const asked = ask(pair);
    asked.send('not yet');
    await pair.until(() => pair.streams.length === 1, 'the request');
    const [stream] = pair.streams;
    for (let round = 0; round < 20; round++) await pair.settle();
    assert.ok(stream);
    assert.ok(asked.tunnel.buffered > 0, 'they wait at the client');
    release();
    await pair.until(() => pair.targets.length === 1 && pair.target().text() === 'not yet', 'the bytes');
    await pair.close();
  }
});

everywhere(
  'an end before the answer is an end for the target',
  async (pair) => {
    const asked = ask(pair);
    asked.tunnel.grant(plenty);
    asked.send('all of it');
    asked.tunnel.end();
    await pair.until(() => pair.served.length === 1, 'the request');
    for (let round = 0; round < 5; round++) await pair.settle();
    release();
    await pair.until(() => pair.targets.length === 1 && pair.target().ended, 'the FIN');
    const target = pair.target();
    assert.equal(target.text(), 'all of it');
    target.tell('and back');
    target.tellEnd();
    await pair.until(() => asked.seen.over !== undefined, 'the end');
    assert.equal(asked.seen.text(), 'and back');
    assert.deepEqual(asked.seen.over, { kind: 'ended' });
  },
  { options: () => ({ dial: () => held(undefined) }) },
);

for (const world of worlds) {
  for (const form of both) {
    test(`a client that gives up aborts the dial (${form.kind}, ${world.name})`, limit, async () => {
      let signal: AbortSignal | undefined;
      const seen = sideRecorder();
      const late = scriptedSide(seen);
      const pair = await tcpTunnelPair(world, form, {
        dial: (given) => {
          signal = given;
          return held<TcpDialOutcome>({ kind: 'open', far: late, fields: [] });
        },
      });
      const giveUp = new AbortController();
      const asked = ask(pair, { signal: giveUp.signal });
      asked.send(Buffer.alloc(200_000));
      await pair.until(() => pair.served.length === 1, 'the request');
      for (let round = 0; round < 5; round++) await pair.settle();
      giveUp.abort();
      await pair.until(() => signal?.aborted === true && asked.seen.over !== undefined, 'the abort');
      assert.equal(asked.error?.code, 'ERR_ABORTED');
      const { cause } = await pair.serving().closed;
      assert.equal(cause.kind, 'client');
      release();
      await pair.until(() => late.resets.length === 1, 'a socket that came too late is reset');
      assert.deepEqual(late.written, []);
      await pair.close();
    });
  }
}

everywhere(
  'a proxy that does not answer in time is told as such',
  async (pair) => {
    const asked = ask(pair, { timeout: 50 });
    await pair.until(() => asked.error !== undefined, 'the time limit');
    assert.equal(asked.error?.code, 'ERR_PROXY_TIMEOUT');
    await pair.until(() => asked.seen.over !== undefined, 'its end');
  },
  { options: () => ({ dial: () => held(undefined) }) },
);

test('a signal that was aborted before asks for nothing', limit, async () => {
  for (const world of worlds.filter(simulated)) {
    const pair = await tcpTunnelPair(world, classic);
    const asked = ask(pair, { signal: AbortSignal.abort() });
    await pair.until(() => asked.seen.over !== undefined, 'the end');
    assert.equal(asked.error?.code, 'ERR_ABORTED');
    await pair.close();
  }
});

everywhere(
  'a silent tunnel ends with CONNECT_ERROR for both after its idle time, one with bytes does not',
  async (pair, world) => {
    const { clock } = pair as unknown as { clock: VirtualClock };
    const { seen, target, serving, send, tunnel } = await opened(pair);
    for (let round = 0; round < 6; round++) {
      await clock.advanceAsync(700);
      if (round % 2 === 0) target.tell('.');
      else send('.');
    }
    assert.equal(tunnel.statistics().bytesIn, 3);
    await clock.advanceAsync(1_300);
    assert.deepEqual(target.resets, ['connect-error']);
    assert.deepEqual((await serving.closed).cause, { kind: 'idle', halfClosed: false });
    assert.equal(seen.over?.kind, 'reset');
    const outcome = await tunnel.closed;
    assert.ok(outcome.kind === 'reset' && world.version !== 'h1');
    assert.equal(outcome.code, codeOf('connect-error', world.version));
  },
  { only: simulated, options: () => ({ idleTimeout: 1_000 }) },
);

everywhere(
  'a half closed tunnel whose other side is silent ends earlier',
  async (pair) => {
    const { clock } = pair as unknown as { clock: VirtualClock };
    const { seen, target, serving, tunnel } = await opened(pair);
    tunnel.end();
    await clock.advanceAsync(900);
    assert.ok(target.ended);
    target.tell('slow answer');
    await clock.advanceAsync(900);
    assert.equal(seen.text(), 'slow answer');
    assert.equal(target.over, undefined);
    await clock.advanceAsync(700);
    assert.deepEqual(target.resets, ['connect-error']);
    assert.deepEqual((await serving.closed).cause, { kind: 'idle', halfClosed: true });
    assert.equal(seen.over?.kind, 'reset');
  },
  { only: simulated, options: () => ({ halfClosedTimeout: 1_000 }) },
);

everywhere('the operator ends a tunnel: no end that could be taken for the true one', async (pair) => {
  const { seen, target, serving } = await opened(pair);
  serving.end();
  serving.end();
  await pair.until(() => seen.over !== undefined && target.over !== undefined, 'the end');
  assert.equal(seen.over?.kind, 'reset');
  assert.equal(seen.ended || target.ended, false);
  assert.deepEqual(target.resets, ['connect-error']);
  assert.deepEqual((await serving.closed).cause, { kind: 'local' });
});

everywhere(
  'the operator ends a tunnel whose target is not reached yet',
  async (pair) => {
    const asked = ask(pair);
    await pair.until(() => pair.served.length === 1, 'the request');
    pair.serving().end();
    await pair.until(() => asked.seen.over !== undefined, 'the end');
    assert.ok(asked.error);
    const { cause, outcome } = await pair.serving().closed;
    assert.deepEqual(cause, { kind: 'local' });
    assert.equal(outcome.kind === 'reset' && outcome.reason, 'refused');
  },
  { options: () => ({ dial: () => held(undefined) }) },
);

const total = (pieces: readonly Buffer[]): number => pieces.reduce((sum, { length }) => sum + length, 0);

everywhere('a target that takes nothing stops the client, and goes on where it stopped', async (pair) => {
  const { send, target, tunnel, seen } = await opened(pair);
  target.room = false;
  const chunk = Buffer.alloc(32_768, 'upload');
  let sent = 0;
  const fill = async (): Promise<void> => {
    for (let quiet = 0; quiet < 30; ) {
      if (tunnel.buffered < 65_536) {
        send(chunk);
        sent += chunk.length;
        quiet = 0;
      } else quiet++;
      await pair.settle();
    }
  };
  await fill();
  const taken = total(target.written);
  assert.ok(taken <= FLOW_WINDOW, `${taken} bytes were written to a target that is full`);
  assert.ok(sent > taken);
  const before = seen.drains;
  target.room = true;
  target.tellDrain();
  await pair.until(() => total(target.written) === sent, 'the rest');
  await pair.until(() => seen.drains > before, 'the client is told');
  assert.ok(Buffer.concat(target.written).equals(Buffer.alloc(sent, chunk)));
});

everywhere('a client that reads nothing stops the target, and goes on where it stopped', async (pair) => {
  const { target, tunnel, seen } = await opened(pair, 0);
  let sent = 0;
  const chunk = Buffer.alloc(16_384, 'download');
  for (let quiet = 0; quiet < 30; ) {
    if (target.credit >= chunk.length) {
      target.tell(chunk);
      sent += chunk.length;
      quiet = 0;
    } else quiet++;
    await pair.settle();
  }
  assert.ok(sent < 8 << 20, `${sent} bytes on their way`);
  assert.equal(seen.bytes, 0);
  tunnel.grant(plenty);
  await pair.until(() => seen.bytes === sent, 'the rest');
  assert.ok(Buffer.concat(seen.received).equals(Buffer.alloc(sent, chunk)));
  await pair.until(() => target.credit > 0, 'the target may go on');
});

everywhere('credit of a byte at a time, and an end without any', async (pair) => {
  const { target, tunnel, seen } = await opened(pair, 0);
  const text = 'one byte at a time, please';
  target.tell(text);
  target.tellEnd();
  for (let at = 1; at <= text.length; at++) {
    assert.equal(seen.ended, false);
    tunnel.grant(1);
    await pair.until(() => seen.bytes === at, `byte ${at}`);
  }
  await pair.until(() => seen.ended, 'the end needs no credit');
  assert.equal(seen.text(), text);
  assert.equal(total(seen.received.filter(({ length }) => length > 1)), 0);
});

test('W10: 200 kB of an unknown capsule pass by without stalling', limit, async () => {
  const { data } = newestConnectTcpCapsules;
  for (const world of worlds) {
    const pair = await tcpTunnelPair(world, newest);
    const seen = createRecorder();
    const stream = pair.client.open(
      {
        kind: 'extended',
        protocol: 'connect-tcp-12',
        scheme: 'https',
        authority: 'proxy.test',
        path: '/.well-known/masque/tcp/192.0.2.6/443/',
        fields: [],
      },
      seen,
    );
    await pair.until(() => seen.head !== undefined && pair.targets.length === 1, 'the answer');
    const content = Buffer.concat([
      encodeCapsule(data, Buffer.from('before ')),
      encodeCapsule(0x3f, Buffer.alloc(200_000)),
      encodeCapsule(data, Buffer.from('and after')),
    ]);
    stream.write(content, 0, content.length);
    await pair.until(() => pair.target().text() === 'before and after', 'the bytes behind it');
    await pair.close();
  }
});

test('Expect: 100-continue is answered once the request is permitted', limit, async () => {
  for (const world of worlds) {
    const pair = await tcpTunnelPair(world, newest, { dial: () => held(undefined) });
    const seen = createRecorder();
    pair.client.open(
      {
        kind: 'extended',
        protocol: 'connect-tcp-12',
        scheme: 'https',
        authority: 'proxy.test',
        path: '/.well-known/masque/tcp/192.0.2.6/443/',
        fields: [['expect', '100-Continue']],
      },
      seen,
    );
    await pair.until(() => pair.served.length === 1, 'the request');
    assert.ok(!seen.order.includes('informational'));
    pair.serving().proceed();
    await pair.until(() => seen.heads.length === 1, 'the 100');
    assert.equal(seen.heads[0]?.status, 100);
    assert.deepEqual(seen.order, ['informational']);
    release();
    await pair.until(() => seen.head !== undefined, 'the answer');
    pair.serving().proceed();
    assert.equal(seen.heads.length, 1);
    await pair.close();
  }
});

test('a client that wants no more bytes goes on sending its own', limit, async () => {
  for (const world of worlds.filter(simulated)) {
    for (const form of both) {
      const pair = await tcpTunnelPair(world, form);
      const { send, target, serving, tunnel } = await opened(pair, 0);
      // STOP_SENDING alone, as the HTTP layer tells it.
      serving.streamHandler.peerStopped?.('no-error');
      for (let round = 0; round < 100; round++) {
        target.tell(Buffer.alloc(20_000));
        await pair.settle();
      }
      send('but listen');
      await pair.until(() => target.text() === 'but listen', 'its bytes');
      tunnel.end();
      await pair.until(() => target.ended, 'its end');
      await pair.close();
    }
  }
});

test('a proxy that answers with what connect-tcp forbids is refused', limit, async () => {
  const wrong: ResponseHead[] = [
    { status: 204, fields: [] },
    { status: 200, fields: [['content-length', '0']] },
    { status: 200, fields: [['content-type', 'text/html']] },
  ];
  for (const world of worlds.filter(simulated)) {
    for (const head of wrong) {
      const connected = await world.connect(() => ({
        request(stream) {
          stream.respond(head);
          return createRecorder();
        },
      }));
      const asked = ask({ ...connected, form: newest });
      while (!asked.error) await connected.settle();
      assert.equal(asked.error?.code, 'ERR_PROXY_PROTOCOL');
      await connected.close();
    }
  }
});
