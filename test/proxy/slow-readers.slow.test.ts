import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../src/clock/system-clock.js';
import type { HttpClientConnection } from '../../src/http/connection.js';
import { startChildProxy } from '../faults/child-proxy.js';
import { createFaultDialler } from '../faults/dial.js';
import { type AskedTcp, askTcp, templated } from './ask-tcp.js';
import { startTcpTarget, until } from './tcp-target.js';

const options = { timeout: 240_000 };
const READERS = 1_000;
const CONNECTIONS = 4;
/** What one tunnel may hold in the proxy's process, bytes. */
const MOST = 512 * 1024;

describe('1,000 tunnels whose readers hardly read', { ...options, timeout: 600_000 }, () => {
  for (const version of ['h3', 'h2'] as const) {
    test(`over ${version} each holds a bounded part of what its target sends`, options, async (t) => {
      let sent = 0;
      const target = await startTcpTarget(({ socket }) => {
        const piece = Buffer.alloc(1 << 16);
        let left = 256;
        const more = (): void => {
          while (left-- > 0) {
            sent += piece.length;
            if (!socket.write(piece)) return;
          }
        };
        socket.on('drain', more);
        more();
      });
      const proxy = await startChildProxy();
      const dialler = createFaultDialler();
      // As a pool would: one connection has room for some 340 tunnels that nobody reads.
      const connections = await Promise.all(
        Array.from({ length: CONNECTIONS }, () => dialler.dial(version, proxy)),
      );
      const ask = (connection: HttpClientConnection) =>
        askTcp(connection, '127.0.0.1', target.port, { clock: systemClock, form: templated, credit: 1_024 });
      const before = (await proxy.memory()).rss;
      const tunnels: AskedTcp[] = [];
      while (tunnels.length < READERS) {
        const more = connections.map(ask);
        tunnels.push(...more);
        await Promise.all(more.map(({ tunnel }) => tunnel.ready));
      }
      await until(() => tunnels.every(({ seen }) => seen.bytes === 1_024), 'the first bytes of each', 120);
      for (let last = -1; last !== sent; ) {
        last = sent;
        await new Promise((resolve) => setTimeout(resolve, 1_000));
      }
      const most = (await proxy.memory()).rss;
      const each = (most - before) / READERS;
      t.diagnostic(
        `resident ${(before / 1e6).toFixed(0)} MB before, ${(most / 1e6).toFixed(0)} MB with all: ${(each / 1024).toFixed(0)} KiB each`,
      );
      assert.ok(each < MOST, `${each} bytes for each tunnel`);
      // All of them still carry something.
      for (const { tunnel } of tunnels) tunnel.grant(1_024);
      await until(() => tunnels.every(({ seen }) => seen.bytes === 2_048), 'the next bytes of each', 60);
      await Promise.all(connections.map((connection) => connection.close()));
    });
  }
});
