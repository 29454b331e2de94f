import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../../src/client/connect.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import type { DataPath } from '../../src/tunnel/data-path.js';
import { flood } from '../client/tcp-target.js';
import { patterned, sha256Of } from '../interop/https-origin.js';
import { startTcpTarget, type TargetSide, until } from '../proxy/tcp-target.js';
import { type ChainProxy, startHop } from './chain.js';

const options = { timeout: 120_000 };
const GREETING = 'a word before the echo\n';

interface Chain {
  readonly entry: ChainProxy;
  readonly exit: ChainProxy;
}

async function startChain(dataPath: DataPath, version: HttpVersion): Promise<Chain> {
  const exit = await startHop('exit', { dataPath });
  return { entry: await startHop('entry', { dataPath, via: exit.link, viaVersions: [version] }), exit };
}

const pathOf = ({ proxy }: ChainProxy): string | undefined => {
  const [tunnel] = proxy.tunnels();
  return tunnel?.kind === 'tcp' ? tunnel.dataPath : undefined;
};

const movedBy = ({ proxy }: ChainProxy): number => {
  const [tunnel] = proxy.tunnels();
  return tunnel?.kind === 'tcp' ? tunnel.statistics.bytesOut : 0;
};

async function closing({ events }: ChainProxy) {
  await until(() => events.some(({ event }) => event === 'tunnel-closed'), 'the end of a tunnel');
  const end = events.find(({ event }) => event === 'tunnel-closed');
  assert.ok(end?.event === 'tunnel-closed' && end.kind === 'tcp');
  return end;
}

function received(stream: Duplex): Buffer[] {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return chunks;
}

const length = (chunks: readonly Buffer[]): number => chunks.reduce((sum, { length }) => sum + length, 0);

/**
 * Greets once it hears something, and gives every byte back. What a target says unasked may reach TypeScript before
 * the engine is asked, and then the tunnel stays there.
 */
const greet = ({ socket }: TargetSide): void => {
  socket.once('data', (first: Buffer) => {
    socket.write(Buffer.concat([Buffer.from(GREETING), first]));
    socket.pipe(socket);
  });
};

describe('a TCP tunnel to a next hop', { timeout: 600_000 }, () => {
  for (const tcp of ['connect', 'connect-tcp'] as const) {
    test(
      `${tcp}: js, splice and auto carry and count the same; HTTP/3 on both sides is spliced`,
      options,
      async () => {
        for (const [dataPath, first, second, expected] of [
          ['js', 'h3', 'h3', 'js'],
          ['splice', 'h3', 'h3', 'splice'],
          ['auto', 'h3', 'h3', 'splice'],
          ['splice', 'h3', 'h2', 'js'],
          ['splice', 'h2', 'h3', 'js'],
        ] as const) {
          const what = `${dataPath}, ${first}, ${second}`;
          const { entry, exit } = await startChain(dataPath, second);
          const target = await startTcpTarget(greet);
          const client = await connect(entry.link, { versions: [first], tcp });
          const tunnel = await client.openTcp({ host: '127.0.0.1', port: target.port });
          const chunks = received(tunnel);
          const sent = [...patterned(7, 3 << 20)].map((piece) => Buffer.from(piece));
          for (const piece of sent) if (!tunnel.write(piece)) await once(tunnel, 'drain');
          const total = GREETING.length + length(sent);
          await until(() => length(chunks) === total, `the bytes (${what})`);
          assert.equal(pathOf(entry), expected, what);
          tunnel.end();
          await until(() => tunnel.readableEnded, `the end (${what})`);
          assert.equal(sha256Of(chunks), sha256Of([Buffer.from(GREETING), ...sent]), what);
          for (const hop of [entry, exit]) {
            const end = await closing(hop);
            assert.equal(end.reason, 'ended', what);
            assert.deepEqual([end.statistics.bytesIn, end.statistics.bytesOut], [length(sent), total], what);
          }
          await client.close();
          target.server.close();
        }
      },
    );

    test(
      `${tcp}: a spliced client that does not read stops the target, and then gets the rest`,
      options,
      async () => {
        const { entry } = await startChain('splice', 'h3');
        const size = 64 << 20;
        const target = await startTcpTarget(({ socket }) => {
          socket.once('data', () => socket.end(Buffer.alloc(size, 7)));
        });
        const client = await connect(entry.link, { versions: ['h3'], tcp });
        const tunnel = await client.openTcp({ host: '127.0.0.1', port: target.port });
        tunnel.write('begin');
        await until(() => movedBy(entry) > 0, 'the first bytes');
        for (let before = -1; before !== movedBy(entry); ) {
          before = movedBy(entry);
          await delay(300);
        }
        assert.equal(pathOf(entry), 'splice');
        assert.ok(movedBy(entry) > 0 && movedBy(entry) < 8 << 20, `${movedBy(entry)} bytes were moved`);
        let bytes = 0;
        tunnel.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
        });
        await once(tunnel, 'end');
        assert.equal(bytes, size);
        await client.close();
        target.server.close();
      },
    );

    test(
      `${tcp}: resets, losses and kills on either side of a splice reach the other as such`,
      options,
      async () => {
        for (const way of [
          'target resets',
          'client resets',
          'client lost',
          'hop closes',
          'hop drains',
          'entry closes',
        ] as const) {
          const { entry, exit } = await startChain('splice', 'h3');
          const target = await startTcpTarget(greet);
          const client = await connect(entry.link, { versions: ['h3'], tcp });
          const tunnel = await client.openTcp({ host: '127.0.0.1', port: target.port });
          const failed = new Promise<Error>((resolve) => tunnel.once('error', resolve));
          const chunks = received(tunnel);
          tunnel.write('hello');
          await until(() => length(chunks) > 0, 'the greeting');
          assert.equal(pathOf(entry), 'splice', way);
          const side = await target.side(0);
          if (way === 'target resets') side.socket.resetAndDestroy();
          else if (way === 'client resets') tunnel.resetAndDestroy();
          else if (way === 'client lost') void client.close();
          else if (way === 'hop closes') void exit.proxy.close();
          else if (way === 'hop drains') void exit.proxy.drain(1);
          else void entry.proxy.close();
          if (!way.startsWith('client')) assert.ok((await failed) instanceof Error, way);
          if (way !== 'target resets')
            await until(() => side.error === 'ECONNRESET', `${way}: a reset at the target`);
          assert.equal(tunnel.readableEnded, false, way);
          await until(() => exit.proxy.info().tunnels.open === 0, `${way}: the exit is left`);
          await until(() => entry.proxy.info().tunnels.open === 0, `${way}: the entry is left`);
          await client.close();
          target.server.close();
        }
      },
    );
  }

  test('a target that speaks first loses nothing, whoever carries it', options, async () => {
    for (const tcp of ['connect', 'connect-tcp'] as const) {
      const { entry } = await startChain('splice', 'h3');
      const target = await startTcpTarget(({ socket }) => {
        socket.write(GREETING);
        socket.pipe(socket);
      });
      const client = await connect(entry.link, { versions: ['h3'], tcp });
      await Promise.all(
        Array.from({ length: 30 }, async () => {
          const tunnel = await client.openTcp({ host: '127.0.0.1', port: target.port });
          const chunks = received(tunnel);
          tunnel.end(Buffer.alloc(100_000, 9));
          await once(tunnel, 'end');
          assert.equal(sha256Of(chunks), sha256Of([Buffer.from(GREETING), Buffer.alloc(100_000, 9)]));
        }),
      );
      await client.close();
      target.server.close();
    }
  });

  test('targets that reset in the middle of an upload leave the other tunnels alone', options, async () => {
    const { entry, exit } = await startChain('splice', 'h3');
    const target = await startTcpTarget(({ socket }) => {
      socket.once('data', (first: Buffer) => {
        if (first[0] === 1) socket.resetAndDestroy();
        else socket.pipe(socket);
        socket.write(first);
      });
    });
    const client = await connect(entry.link, { versions: ['h3'] });
    const upload = async (kind: number): Promise<'failed' | 'whole'> => {
      const tunnel = await client.openTcp({ host: '127.0.0.1', port: target.port });
      const over = new Promise<'failed' | 'ended'>((resolve) => {
        tunnel.once('error', () => resolve('failed'));
        tunnel.once('end', () => resolve('ended'));
      });
      const chunks = received(tunnel);
      const bytes = Buffer.alloc(400_000, kind);
      for (let at = 0; at < bytes.length && !tunnel.destroyed; at += 50_000) {
        if (!tunnel.write(bytes.subarray(at, at + 50_000))) {
          await Promise.race([once(tunnel, 'drain').catch(() => undefined), over]);
        }
      }
      tunnel.end();
      if ((await over) === 'failed') return 'failed';
      assert.equal(sha256Of(chunks), sha256Of([bytes]));
      return 'whole';
    };
    for (let round = 0; round < 20; round++) {
      const outcomes = await Promise.all(Array.from({ length: 30 }, (_, index) => upload(index % 2)));
      outcomes.forEach((outcome, index) => {
        assert.equal(outcome, index % 2 === 1 ? 'failed' : 'whole', `tunnel ${index} of round ${round}`);
      });
      assert.equal(entry.proxy.info().connections, 1, 'still on the same connection');
    }
    await until(() => entry.proxy.info().tunnels.open === 0, 'the entry is left');
    await until(() => exit.proxy.info().tunnels.open === 0, 'the exit is left');
    await client.close();
    target.server.close();
  });

  test('downloads over one connection to the hop share it, spliced or not', options, async (t) => {
    for (const dataPath of ['splice', 'js'] as const) {
      const { entry } = await startChain(dataPath, 'h3');
      const target = await startTcpTarget(({ socket }) => flood(socket));
      const client = await connect(entry.link, { versions: ['h3'] });
      const counts = await Promise.all(
        Array.from({ length: 6 }, async () => {
          const tunnel = await client.openTcp({ host: '127.0.0.1', port: target.port });
          const count = { bytes: 0 };
          tunnel.on('error', () => undefined);
          tunnel.on('data', (chunk: Buffer) => {
            count.bytes += chunk.length;
          });
          return count;
        }),
      );
      await until(() => counts.every(({ bytes }) => bytes > 1 << 20), 'a megabyte on each');
      for (const count of counts) count.bytes = 0;
      await delay(1_000);
      const shares = counts.map(({ bytes }) => bytes);
      t.diagnostic(`${dataPath}: ${shares.join(', ')} bytes`);
      const mean = shares.reduce((sum, bytes) => sum + bytes, 0) / shares.length;
      assert.ok(Math.min(...shares) > mean / 3, `${dataPath}: shares of ${shares.join(', ')}`);
      await client.close();
      target.server.close();
    }
  });
});
