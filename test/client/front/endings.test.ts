import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import type { ClientCore } from '../../../src/client/client-core.js';
import type { FrontEvent } from '../../../src/client/front/front-events.js';
import type { FrontEnd } from '../../../src/client/front/listen-for-apps.js';
import { openFrontEnd } from '../../../src/client/front/open-front-end.js';
import { openTcpForward } from '../../../src/client/front/tcp-forward.js';
import { systemClock } from '../../../src/clock/system-clock.js';
import type { TcpEnd, TcpSocket, TcpSockets } from '../../../src/quic/tcp-socket.js';
import { dataPath } from '../../data-path.js';
import { suiteClient } from '../suite-client.js';
import { startTarget } from './target-server.js';

const limit = { timeout: 120_000 };
const suite = { timeout: 600_000 };

/** An app on a socket of the engine, which tells an end from a reset whether it reads or not. */
interface App {
  readonly socket: TcpSocket;
  received(): string;
  /** From now on it reads. */
  read(): void;
  readonly ended: Promise<void>;
  readonly closed: Promise<TcpEnd>;
}

/** Within the time of one test, which would otherwise keep the process after it has failed. */
async function until(look: () => boolean, state: () => string = () => ''): Promise<void> {
  const tooLate = performance.now() + 50_000;
  while (!look()) {
    assert.ok(performance.now() < tooLate, `never: ${look} ${state()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function settable<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Connects, says `greeting`, and takes exactly the answer to it; more only where it reads. */
async function openApp(
  tcp: TcpSockets,
  port: number,
  greeting: Buffer,
  answer: number,
  reads: boolean,
): Promise<App> {
  let received = '';
  let reading = reads;
  const ended = settable<void>();
  const closed = settable<TcpEnd>();
  const socket = await tcp.connect(
    { remote: { address: '127.0.0.1', port } },
    {
      data(bytes, start, end) {
        received += Buffer.from(bytes.slice(start, end)).toString('latin1');
        if (reading) socket.grant(end - start);
      },
      end: () => ended.resolve(),
      drain: () => undefined,
      closed: closed.resolve,
    },
    new AbortController().signal,
  );
  socket.grant(answer + (reads ? 100_000 : 0));
  socket.write(greeting, 0, greeting.length);
  await until(() => received.length >= answer);
  assert.ok(
    received.startsWith('HTTP/1.1 200 ') || received.startsWith('\x05\x00\x05\x00') || answer === 0,
    received,
  );
  return {
    socket,
    received: () => received.slice(answer),
    read() {
      reading = true;
      socket.grant(100_000);
    },
    ended: ended.promise,
    closed: closed.promise,
  };
}

const ESTABLISHED = 'HTTP/1.1 200 Connection Established\r\n\r\n';

interface Front {
  readonly open: (
    client: ClientCore,
    target: number,
    event: (event: FrontEvent) => void,
  ) => Promise<FrontEnd>;
  readonly greeting: (target: number) => Buffer;
  readonly answer: number;
}

const local = { address: '127.0.0.1', port: 0 };
const clock = systemClock;
const fronts: Readonly<Record<string, Front>> = {
  SOCKS5: {
    open: (ground, _, event) => openFrontEnd({ kind: 'mixed', local, ground, clock, dataPath, event }),
    greeting: (port) => Buffer.from([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff]),
    answer: 12,
  },
  'HTTP CONNECT': {
    open: (ground, _, event) => openFrontEnd({ kind: 'mixed', local, ground, clock, dataPath, event }),
    greeting: (port) => Buffer.from(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`),
    answer: ESTABLISHED.length,
  },
  'a TCP forward': {
    open: (ground, target, event) =>
      openTcpForward({ local, target: `127.0.0.1:${target}`, ground, clock, dataPath, event }),
    greeting: () => Buffer.alloc(0),
    answer: 0,
  },
};

for (const version of ['h3', 'h2', 'h1'] as const) {
  describe(`endings over ${version}`, suite, () => {
    const { client } = suiteClient(version);

    for (const [name, front] of Object.entries(fronts)) {
      const start = async (serve: (socket: Socket) => void, reads: boolean) => {
        const target = await startTarget(serve);
        const events: FrontEvent[] = [];
        const end = await front.open(client(), target.port, (event) => events.push(event));
        after(() => end.close());
        const app = await openApp(
          client().tcp(),
          end.localAddress.port,
          front.greeting(target.port),
          front.answer,
          reads,
        );
        const told = (): string => JSON.stringify(events);
        // A TCP forward has no answer: its target may know of the tunnel before the app's side does.
        await until(() => events.length > 0, told);
        assert.equal(events[0]?.type, 'tunnel-opened', told());
        let over: TcpEnd | undefined;
        void app.closed.then((how) => {
          over = how;
        });
        const appClosed = async (): Promise<TcpEnd | undefined> => {
          const state = (): string => `${told()} target ${target.sockets.size} got ${app.received().length}`;
          await until(() => over !== undefined, state);
          return over;
        };
        const closedHow = async (): Promise<string> => {
          await until(() => events.some(({ type }) => type === 'tunnel-closed'), told);
          return events.flatMap((event) => (event.type === 'tunnel-closed' ? [event.how] : []))[0] ?? '';
        };
        return { app, appClosed, target, closedHow };
      };
      const reset: TcpEnd = { kind: 'reset', by: 'peer', errno: 'ECONNRESET' };

      for (const reads of [true, false]) {
        const how = reads ? 'an app that reads' : 'an app that does not';
        test(`${name}: a target that resets is a reset for ${how}`, limit, async () => {
          const { appClosed, target, closedHow } = await start((socket) => socket.resume(), reads);
          await until(() => target.sockets.size === 1);
          for (const socket of target.sockets) socket.resetAndDestroy();
          assert.deepEqual(await appClosed(), reset);
          assert.equal(await closedHow(), 'reset');
        });

        test(`${name}: a target that resets with bytes queued is a reset for ${how}`, limit, async () => {
          const { app, appClosed, target, closedHow } = await start((socket) => {
            socket.write(Buffer.alloc(8_000_000));
          }, reads);
          await until(() => [...target.sockets].some((socket) => socket.bytesWritten > 0));
          await new Promise((resolve) => setTimeout(resolve, 30));
          for (const socket of target.sockets) socket.resetAndDestroy();
          // TLS of Node tells nothing of a connection that is not read: HTTP/1.1 learns of it with the bytes.
          if (version === 'h1' && !reads) setTimeout(() => app.read(), 200);
          assert.deepEqual(await appClosed(), reset);
          assert.equal(await closedHow(), 'reset');
        });
      }

      test(`${name}: a target that never answers is neither an end nor a reset`, limit, async () => {
        const { app, target, closedHow } = await start((socket) => socket.resume(), true);
        let over = false;
        void Promise.race([app.ended, app.closed]).then(() => {
          over = true;
        });
        await until(() => target.sockets.size === 1);
        await new Promise((resolve) => setTimeout(resolve, 200));
        assert.equal(over, false);
        app.socket.reset();
        assert.equal(await closedHow(), 'reset');
        await until(() => target.sockets.size === 0);
      });

      test(`${name}: a target that closes half is an end, and hears the app to its own`, limit, async () => {
        let heard = '';
        let ended = false;
        const { app, appClosed, closedHow } = await start((socket) => {
          socket.end('all of it');
          socket.on('data', (bytes) => {
            heard += bytes.toString();
          });
          socket.on('end', () => {
            ended = true;
          });
        }, true);
        await app.ended;
        assert.equal(app.received(), 'all of it');
        const more = Buffer.from('and I go on');
        app.socket.write(more, 0, more.length);
        await until(() => heard === 'and I go on');
        assert.equal(ended, false);
        app.socket.end();
        assert.deepEqual(await appClosed(), { kind: 'ended' });
        assert.equal(await closedHow(), 'ended');
        // The app's side is over with its own end, which may still be on its way to the target.
        await until(() => ended);
      });

      test(`${name}: an app that resets resets the target`, limit, async () => {
        let errno = '';
        const { app, target, closedHow } = await start((socket) => {
          socket.resume();
          socket.on('error', (error: NodeJS.ErrnoException) => {
            errno = error.code ?? '';
          });
        }, true);
        await until(() => target.sockets.size === 1);
        app.socket.reset();
        await until(() => target.sockets.size === 0);
        assert.equal(errno, 'ECONNRESET');
        assert.equal(await closedHow(), 'reset');
      });
    }
  });
}
