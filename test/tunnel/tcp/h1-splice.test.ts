import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { systemClock } from '../../../src/clock/system-clock.js';
import { newestConnectTcp } from '../../../src/protocol/connect-tcp.js';
import type { ByteSideHandler } from '../../../src/tunnel/tcp/byte-side.js';
import { type OpenTcpTunnel, openTcpTunnel } from '../../../src/tunnel/tcp/open-tcp.js';
import { serveTcp, type TcpServing } from '../../../src/tunnel/tcp/serve-tcp.js';
import { socketSide, socketSideHandler } from '../../../src/tunnel/tcp/socket-side.js';
import type { TcpForm } from '../../../src/tunnel/tcp/tcp-form.js';
import { dialEngine, serveEngine } from '../../http/h1/engine-pair.js';
import { startTcpTarget, type TargetSide, until } from '../../proxy/tcp-target.js';
import { nativeWorld } from '../../quic/tcp-world.js';

const limit = { timeout: 120_000 };
const forms: readonly TcpForm[] = [{ kind: 'connect' }, { kind: 'connect-tcp', revision: newestConnectTcp }];

class Client implements ByteSideHandler {
  readonly chunks: Buffer[] = [];
  received = 0;
  ended = false;
  drains = 0;
  over: string | undefined;
  tunnel: OpenTcpTunnel | undefined;

  data(bytes: Uint8Array, start: number, end: number): void {
    this.chunks.push(Buffer.from(bytes.subarray(start, end)));
    this.received += end - start;
    this.tunnel?.grant(end - start);
  }

  end(): void {
    this.ended = true;
  }

  drain(): void {
    this.drains++;
  }

  closed(how: Parameters<ByteSideHandler['closed']>[0]): void {
    this.over = how.kind;
  }

  text(): string {
    return Buffer.concat(this.chunks).toString();
  }
}

interface Opened {
  readonly client: Client;
  readonly tunnel: OpenTcpTunnel;
  readonly serving: TcpServing;
  readonly side: TargetSide;
}

const write = (tunnel: OpenTcpTunnel, text: string): boolean => {
  const bytes = Buffer.from(text);
  return tunnel.write(bytes, 0, bytes.length);
};

async function opened(t: TestContext, form: TcpForm, secure: boolean, early = ''): Promise<Opened> {
  const world = nativeWorld();
  t.after(() => world.close());
  const target = await startTcpTarget();
  let serving: TcpServing | undefined;
  const server = await serveEngine(world, systemClock, secure, () => ({
    request(stream) {
      const made = serveTcp(
        stream,
        form,
        async (handler, { signal }) => {
          const remote = { address: '127.0.0.1', port: target.port };
          const socket = await world.server.connect({ remote }, socketSideHandler(handler), signal);
          return { kind: 'open', far: socketSide(socket), fields: [] };
        },
        { clock: systemClock, splice: true },
      );
      serving = made;
      return made.streamHandler;
    },
  }));
  t.after(() => server.close());
  const connection = await dialEngine(world, systemClock, secure, server);
  t.after(() => connection.close());
  const client = new Client();
  const common = { clock: systemClock, timeout: 60_000, fields: [] };
  const authority = `127.0.0.1:${target.port}`;
  const tunnel = openTcpTunnel(
    connection,
    form.kind === 'connect'
      ? { ...common, form, authority }
      : {
          ...common,
          form,
          authority: 'localhost',
          path: `/.well-known/masque/tcp/127.0.0.1/${target.port}/`,
        },
    client,
    new AbortController().signal,
  );
  tunnel.start();
  client.tunnel = tunnel;
  if (early) write(tunnel, early);
  await tunnel.ready;
  tunnel.grant(1 << 20);
  const side = await target.side();
  await until(() => serving?.dataPath() === 'splice', 'the engine moves the bytes');
  assert.ok(serving);
  return { client, tunnel, serving, side };
}

for (const secure of [false, true]) {
  for (const form of forms) {
    const name = `${form.kind}, ${secure ? 'TLS' : 'TCP'}`;

    test(`bytes and ends of a spliced tunnel over HTTP/1.1 (${name})`, limit, async (t) => {
      const { client, tunnel, serving, side } = await opened(t, form, secure, 'early ');
      write(tunnel, 'question');
      await until(() => side.text() === 'early question', `the bytes, not ${side.text()}`);
      side.socket.write('answer');
      await until(() => client.text() === 'answer', 'the answer');
      tunnel.end();
      await until(() => side.ended, 'the end at the target');
      side.socket.end(' and more');
      await until(() => client.ended, 'the end at the client');
      assert.equal(client.text(), 'answer and more');
      const end = await serving.closed;
      assert.deepEqual(end, { cause: { kind: 'ended' }, outcome: { kind: 'ended' } });
      assert.deepEqual(serving.statistics(), { bytesIn: 14, bytesOut: 15 });
    });

    test(`megabytes both ways through a spliced tunnel (${name})`, limit, async (t) => {
      const { client, tunnel, serving, side } = await opened(t, form, secure);
      const size = 8_000_000;
      const piece = Buffer.alloc(50_000, 'x');
      let left = size / piece.length;
      const fill = (): void => {
        while (left > 0) {
          left -= 1;
          if (!tunnel.write(piece, 0, piece.length)) return;
        }
        if (left === 0) tunnel.end();
      };
      client.drain = fill;
      fill();
      side.socket.end(Buffer.alloc(size, 'y'));
      await until(() => client.ended && side.ended, 'both ends');
      assert.equal(client.received, size);
      assert.equal(side.text().length, size);
      assert.deepEqual((await serving.closed).cause, { kind: 'ended' });
    });

    test(`a reset of the target goes through (${name})`, limit, async (t) => {
      const { client, serving, side } = await opened(t, form, secure);
      side.socket.resetAndDestroy();
      await until(() => client.over !== undefined, 'the outcome');
      assert.equal(client.over, 'reset');
      assert.equal((await serving.closed).cause.kind, 'far');
    });

    test(`a reset of the client goes through (${name})`, limit, async (t) => {
      const { tunnel, serving, side } = await opened(t, form, secure);
      tunnel.reset('cancelled');
      assert.equal((await serving.closed).cause.kind, 'client');
      await until(() => side.error === 'ECONNRESET', 'the target is cut off');
    });
  }
}
