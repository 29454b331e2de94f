import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../src/clock/system-clock.js';
import type { TcpForm } from '../../src/tunnel/tcp/tcp-form.js';
import { patterned, sha256Of } from '../interop/https-origin.js';
import { askTcp, classic, templated } from './ask-tcp.js';
import { createDialler, startProxy } from './real-proxy.js';
import { startTcpTarget, until } from './tcp-target.js';

const options = { timeout: 240_000 };
const STALLED = 300;
const SIZE = 8 << 20;

/** Which readers have stopped: the client, the targets, or all of them. */
type Stopped = 'client' | 'targets' | 'all';

/**
 * Node's HTTP/2 reads nothing while a write of its own waits for the socket: two of them that fill both directions
 * of one connection at once stop each other for good, so that there each direction is tried by itself.
 */
const cases: readonly (readonly [version: 'h3' | 'h2', form: TcpForm, stopped: Stopped])[] = [
  ['h3', classic, 'all'],
  ['h3', templated, 'all'],
  ['h2', classic, 'client'],
  ['h2', templated, 'client'],
  ['h2', classic, 'targets'],
  ['h2', templated, 'targets'],
];

describe('one tunnel beside 300 whose readers have stopped', { ...options, timeout: 600_000 }, () => {
  for (const [version, form, stopped] of cases) {
    test(`W8: it carries 8 MB each way over ${version} (${form.kind}, ${stopped})`, options, async () => {
      const flood = await startTcpTarget(({ socket }) => {
        const piece = Buffer.alloc(stopped === 'targets' ? 1 : 1 << 16);
        let left = stopped === 'targets' ? 1 : 64;
        const more = (): void => {
          while (left-- > 0 && socket.write(piece));
        };
        socket.on('drain', more);
        more();
        // Nor does it read what the client sends.
        socket.pause();
      });
      const running = await startTcpTarget(({ socket }) => {
        socket.on('end', () => {
          for (const piece of patterned(9, SIZE)) socket.write(piece);
          socket.end();
        });
      });
      const { proxy } = await startProxy();
      const connection = await createDialler().dial(version, proxy);
      const ask = (port: number, credit?: number) =>
        askTcp(connection, '127.0.0.1', port, {
          clock: systemClock,
          form,
          ...(credit === undefined ? {} : { credit }),
        });
      const stalled = Array.from({ length: STALLED }, () => ask(flood.port, 1));
      await Promise.all(stalled.map(({ tunnel }) => tunnel.ready));
      const piece = Buffer.alloc(1 << 16);
      const pieces = stopped === 'client' ? 0 : 64;
      for (const { tunnel } of stalled) {
        for (let left = pieces; left > 0 && tunnel.write(piece, 0, piece.length); left--);
      }
      await until(() => stalled.every(({ seen }) => seen.bytes === 1), 'the first byte of each', 120);
      const one = ask(running.port);
      await one.tunnel.ready;
      for (const part of patterned(8, SIZE)) {
        const before = one.seen.drains;
        if (!one.tunnel.write(part, 0, part.length)) await until(() => one.seen.drains > before, 'room');
      }
      one.tunnel.end();
      await until(() => one.seen.over !== undefined, 'the end of the one that runs', 60);
      assert.equal(one.seen.over?.kind, 'ended');
      assert.equal(sha256Of(one.seen.received), sha256Of(patterned(9, SIZE)));
      assert.equal(sha256Of((await running.side()).received), sha256Of(patterned(8, SIZE)));
      assert.ok(stalled.every(({ seen }) => seen.over === undefined && seen.bytes === 1));
      await connection.close();
    });
  }
});
