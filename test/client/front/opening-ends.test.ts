import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import type { ClientCore } from '../../../src/client/client-core.js';
import type { FrontEvent } from '../../../src/client/front/front-events.js';
import { openTcpForward } from '../../../src/client/front/tcp-forward.js';
import { systemClock } from '../../../src/clock/system-clock.js';
import type { TcpEnd, TcpSocket } from '../../../src/quic/tcp-socket.js';
import { suiteClient } from '../suite-client.js';
import { startTarget } from './target-server.js';

const limit = { timeout: 60_000 };
const rounds = 20;

async function until(look: () => boolean, state: () => string = () => ''): Promise<void> {
  const tooLate = performance.now() + 50_000;
  while (!look()) {
    assert.ok(performance.now() < tooLate, `never: ${look} ${state()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

interface App {
  readonly socket: TcpSocket;
  closed(): TcpEnd | undefined;
}

/** Connects and reads nothing. */
async function connectApp(client: ClientCore, port: number): Promise<App> {
  let over: TcpEnd | undefined;
  const socket = await client.tcp().connect(
    { remote: { address: '127.0.0.1', port } },
    {
      data: () => undefined,
      end: () => undefined,
      drain: () => undefined,
      closed(how) {
        over = how;
      },
    },
    new AbortController().signal,
  );
  return { socket, closed: () => over };
}

for (const version of ['h3', 'h2', 'h1'] as const) {
  describe(`ends around the answer over ${version}`, limit, () => {
    const { client, proxy } = suiteClient(version);

    const start = async (serve: (socket: Socket) => void) => {
      const target = await startTarget(serve);
      const events: FrontEvent[] = [];
      const front = await openTcpForward({
        local: { address: '127.0.0.1', port: 0 },
        target: `127.0.0.1:${target.port}`,
        ground: client(),
        clock: systemClock,
        event: (event) => events.push(event),
      });
      after(() => front.close());
      return { target, front, events };
    };

    test(
      'a target that resets around the answer is a reset for the app, and one event tells of the end',
      limit,
      async () => {
        let delay = 0;
        const { target, front, events } = await start((socket) => {
          socket.write(Buffer.alloc(8_000_000));
          // In the same turn, the next, and some later.
          if (delay === 0) socket.resetAndDestroy();
          else setTimeout(() => socket.resetAndDestroy(), delay - 1);
        });
        for (let round = 0; round < rounds; round++) {
          delay = round % 5;
          events.length = 0;
          const app = await connectApp(client(), front.localAddress.port);
          const state = (): string =>
            `round ${round} ${JSON.stringify(events)} target ${target.sockets.size}`;
          // TLS of Node tells nothing of a connection that is not read.
          if (version === 'h1') app.socket.grant(100_000_000);
          await until(() => app.closed() !== undefined, state);
          assert.deepEqual(app.closed(), { kind: 'reset', by: 'peer', errno: 'ECONNRESET' }, state());
          await until(() => events.some(({ type }) => type !== 'tunnel-opened'), state);
          const ends = events.filter(({ type }) => type !== 'tunnel-opened');
          assert.equal(ends.length, 1, state());
          const opened = events.length === 2;
          assert.equal(ends[0]?.type, opened ? 'tunnel-closed' : 'tunnel-failed', state());
          if (ends[0]?.type === 'tunnel-closed') assert.equal(ends[0].how, 'reset', state());
          await until(() => front.connections === 0, state);
        }
      },
    );

    test(
      'an app that resets around the answer leaves nothing at the target, and no tunnel',
      limit,
      async () => {
        let connected = 0;
        const { target, front, events } = await start((socket) => {
          connected++;
          socket.resume();
        });
        for (let round = 0; round < rounds; round++) {
          events.length = 0;
          const before = connected;
          const app = await connectApp(client(), front.localAddress.port);
          const state = (): string =>
            `round ${round} ${JSON.stringify(events)} target ${target.sockets.size}`;
          if (round % 2 === 0) {
            await until(() => front.connections === 1, state);
          } else {
            await until(() => connected > before, state);
          }
          app.socket.reset();
          await until(() => front.connections === 0, state);
          // An app that went before its tunnel was open needs no event; what was opened is closed.
          const count = (type: FrontEvent['type']): number =>
            events.filter((event) => event.type === type).length;
          await until(() => count('tunnel-opened') === count('tunnel-closed'), state);
          await until(() => target.sockets.size === 0, state);
          assert.equal(count('tunnel-failed'), 0, state());
        }
        await until(() => proxy().proxy.tunnels().length === 0);
      },
    );
  });
}
