import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createNativeEngine } from '../../../src/quic/native/index.js';
import { serveTcp, type TcpServing } from '../../../src/tunnel/tcp/serve-tcp.js';
import { socketSide, socketSideHandler } from '../../../src/tunnel/tcp/socket-side.js';
import type { TcpForm } from '../../../src/tunnel/tcp/tcp-form.js';
import { type Asked, ask, newest, plenty } from './tcp-tunnel-pair.js';
import { until, worlds } from './worlds.js';

const limit = { timeout: 120_000 };
const classic: TcpForm = { kind: 'connect' };

interface Tunnel extends Asked {
  /** The target's end of the connection, as the target has it. */
  readonly target: Socket;
  readonly serving: TcpServing;
  until(condition: () => boolean, what: string): Promise<void>;
  /** The client's connection goes away. */
  lose(): void;
}

type Body = (tunnel: Tunnel) => Promise<void>;

/** Client, HTTP, proxy side, a socket of the engine, and a target that is a server of Node's. */
async function withTarget(
  t: TestContext,
  world: (typeof worlds)[number],
  form: TcpForm,
  body: Body,
  credit: number,
) {
  const sockets: Socket[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const engine = createNativeEngine();
  const served: TcpServing[] = [];
  const connected = await world.connect(() => ({
    request(stream) {
      const serving = serveTcp(
        stream,
        form,
        async (handler, { signal }) => {
          const remote = { address: '127.0.0.1', port };
          const socket = await engine.tcp.connect({ remote }, socketSideHandler(handler), signal);
          return { kind: 'open', far: socketSide(socket), fields: [] };
        },
        { clock: connected.clock },
      );
      served.push(serving);
      return serving.streamHandler;
    },
  }));
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await connected.close();
    await engine.close();
  });
  const asked = ask({ ...connected, form });
  asked.tunnel.grant(credit);
  await until(connected, () => asked.head !== undefined && sockets.length === 1, 'the tunnel');
  const [target] = sockets;
  const [serving] = served;
  assert.ok(target && serving);
  await body({
    ...asked,
    target,
    serving,
    until: (condition, what) => until(connected, condition, what),
    lose: () => void connected.client.close(),
  });
}

function everywhere(title: string, body: Body, { credit = plenty, except = '' } = {}): void {
  for (const world of worlds.filter(({ name }) => !name.startsWith('fake'))) {
    for (const form of [classic, newest]) {
      if (except === `${form.kind} ${world.name}`) continue;
      test(`${title} (${form.kind}, ${world.name})`, limit, (t) => withTarget(t, world, form, body, credit));
    }
  }
}

/** What the target saw, besides bytes. */
function watch(target: Socket) {
  const seen = { bytes: 0, ended: false, reset: false, closed: false };
  target.on('data', (chunk: Buffer) => {
    seen.bytes += chunk.length;
  });
  target.on('end', () => {
    seen.ended = true;
  });
  target.on('error', (error: NodeJS.ErrnoException) => {
    seen.reset ||= error.code === 'ECONNRESET';
  });
  target.on('close', () => {
    seen.closed = true;
  });
  return seen;
}

everywhere('megabytes both ways at once', async ({ tunnel, seen, send, target, until }) => {
  const size = 8 << 20;
  const chunk = Buffer.alloc(64 * 1024, 'both ways ');
  const at = watch(target);
  let back = 0;
  const writeBack = (): void => {
    while (back < size) {
      back += chunk.length;
      if (!target.write(chunk)) return;
    }
    if (!target.writableEnded) target.end();
  };
  target.on('drain', writeBack);
  writeBack();
  let sent = 0;
  while (sent < size) {
    if (tunnel.buffered > 256 * 1024) await until(() => tunnel.buffered < 64 * 1024, 'room');
    send(chunk);
    sent += chunk.length;
  }
  tunnel.end();
  await until(() => at.bytes === size && at.ended, 'all at the target');
  await until(() => seen.over !== undefined, 'the end at the client');
  assert.deepEqual(seen.over, { kind: 'ended' });
  assert.equal(seen.bytes, size);
  const all = Buffer.concat(seen.received);
  for (let offset = 0; offset < size; offset += chunk.length) {
    assert.ok(all.subarray(offset, offset + chunk.length).equals(chunk));
  }
});

everywhere(
  'W6: the target closes half and still gets everything',
  async ({ tunnel, seen, send, target, until }) => {
    const at = watch(target);
    target.end('bye');
    await until(() => seen.ended, 'its FIN');
    assert.equal(seen.text(), 'bye');
    send(Buffer.alloc(500_000, 'late'));
    tunnel.end();
    await until(() => at.bytes === 500_000 && at.ended, 'the late bytes and the FIN');
    await until(() => seen.over !== undefined, 'the end');
    assert.deepEqual(seen.over, { kind: 'ended' });
    assert.equal(at.reset, false);
  },
);

everywhere('a target that resets with nothing queued', async ({ tunnel, seen, target, until }) => {
  target.resetAndDestroy();
  await until(() => seen.over !== undefined, 'the reset');
  assert.equal(seen.ended, false);
  assert.equal((await tunnel.closed).kind, 'reset');
});

everywhere(
  'a target that resets with bytes queued, the reader paused',
  async ({ tunnel, seen, target, until, serving }) => {
    target.write(Buffer.alloc(4 << 20));
    await until(() => serving.statistics().bytesOut > 0, 'the bytes are on their way');
    target.resetAndDestroy();
    await until(() => target.destroyed, 'the reset');
    const { cause } = await serving.closed;
    assert.equal(cause.kind, 'far');
    tunnel.grant(plenty);
    await until(() => seen.over !== undefined, 'it is told');
    assert.equal(seen.ended, false, 'no end');
    assert.notEqual(seen.over?.kind, 'ended');
  },
  { credit: 0 },
);

everywhere('a client that resets is an RST for the target', async ({ tunnel, send, target, until }) => {
  const at = watch(target);
  send('half a request');
  await until(() => at.bytes === 14, 'its bytes');
  tunnel.reset('cancelled');
  await until(() => at.closed, 'the reset');
  assert.deepEqual([at.reset, at.ended], [true, false]);
});

everywhere(
  'a client that is lost is an RST for the target',
  async ({ send, target, until, lose, serving }) => {
    const at = watch(target);
    send('half a request');
    await until(() => at.bytes === 14, 'its bytes');
    lose();
    await until(() => at.closed, 'the reset');
    assert.deepEqual([at.reset, at.ended], [true, false]);
    assert.equal((await serving.closed).outcome.kind, 'lost');
  },
  // A bare FIN is an end of classic CONNECT over HTTP/1.1.
  { except: 'connect h1' },
);

everywhere(
  'a target that never reads stops the client within a bound',
  async ({ tunnel, send, target, until }) => {
    target.pause();
    const chunk = Buffer.alloc(64 * 1024);
    let sent = 0;
    let still = 0;
    while (still < 100 && sent < 200 << 20) {
      if (tunnel.buffered < 64 * 1024) {
        send(chunk);
        sent += chunk.length;
        still = 0;
      } else still++;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    assert.ok(sent < 64 << 20, `${sent} bytes went somewhere`);
    const at = watch(target);
    target.resume();
    tunnel.end();
    await until(() => at.bytes === sent && at.ended, 'all of them arrive in the end');
  },
);
