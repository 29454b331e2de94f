import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { QuicConnectError } from '../../src/quic/engine.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { clientTls, connectPair, connectTo, delay, empty, listening, never, side, until } from './pair.js';

const limit = { timeout: 120_000 };
const run = promisify(execFile);
const pair = new URL('./pair.js', import.meta.url).href;
const native = new URL('../../src/quic/native/index.js', import.meta.url).href;

/** Runs a program that has `engine`, `connectPair` and so on, and tells how it ended. */
async function program(body: string): Promise<string> {
  const source = `
    import { createNativeEngine } from '${native}';
    import { connectPair, connectTo, listening, delay, empty } from '${pair}';
    const engine = createNativeEngine();
    ${body}`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', source], { timeout: 60_000 });
  return stdout.trim();
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

describe('the life of an engine', () => {
  test('the process exits when everything is closed, without exit()', limit, async () => {
    assert.equal(await program(`console.log('unused');`), 'unused');
    assert.equal(
      await program(`
        const { client, server, listener } = await connectPair(engine);
        const socket = await engine.udp.open({ local: { address: '127.0.0.1', port: 0 } }, { packet() {}, problem() {} });
        client.connection.close(0, '');
        await server.closed;
        await listener.close(0, '');
        socket.close();
        console.log('closed one by one');`),
      'closed one by one',
    );
    assert.equal(
      await program(`
        await connectPair(engine);
        await engine.udp.open({ local: { address: '127.0.0.1', port: 0 } }, { packet() {}, problem() {} });
        await engine.close();
        console.log('closed at once');`),
      'closed at once',
    );
  });

  test('the process stays while a listener is open', limit, async () => {
    await assert.rejects(
      run(
        process.execPath,
        [
          '--input-type=module',
          '-e',
          `
        import { createNativeEngine } from '${native}';
        import { listening } from '${pair}';
        await listening(createNativeEngine());`,
        ],
        { timeout: 700 },
      ),
      (error: { killed?: boolean }) => error.killed === true,
    );
  });

  test('closing the engine tells the peers, ends every wait and is idempotent', limit, async () => {
    const ours = createNativeEngine();
    const theirs = createNativeEngine();
    const { listener, next } = await listening(theirs);
    const client = await connectTo(ours, listener);
    const server = await next();
    await Promise.all([ours.close(), ours.close()]);
    assert.equal((await client.closed).kind, 'application');
    assert.deepEqual(await server.closed, { kind: 'application', code: 0, reason: '', byPeer: true });
    await ours.close();
    await assert.rejects(connectTo(ours, listener), QuicConnectError);
    await assert.rejects(listening(ours));
    await assert.rejects(ours.udp.open({}, { packet: () => undefined, problem: () => undefined }));
    await theirs.close();
  });

  test('closing while a handshake is under way rejects it', limit, async () => {
    const ours = createNativeEngine();
    const sink = await ours.udp.open(
      { local: { address: '127.0.0.1', port: 0 } },
      { packet: () => undefined, problem: () => undefined },
    );
    const connecting = ours.connect(
      { remote: sink.localAddress, tls: clientTls() },
      (connection) => side(connection).handler,
      never,
    );
    const rejected = assert.rejects(connecting, QuicConnectError);
    await ours.close();
    await rejected;
  });

  test('descriptors and handles are what they were', {
    ...limit,
    skip: process.platform !== 'linux' && 'counts descriptors in /proc',
  }, async () => {
    const before = descriptors();
    for (let round = 0; round < 3; round++) {
      const engine = createNativeEngine();
      const { listener } = await listening(engine);
      for (let count = 0; count < 20; count++) {
        const client = await connectTo(engine, listener);
        client.connection.sendDatagram(empty, Buffer.from('x'), 0, 1);
        if (count % 2) client.connection.close(1, '');
      }
      const sockets = await Promise.all(
        Array.from({ length: 50 }, () =>
          engine.udp.open(
            { local: { address: '127.0.0.1', port: 0 } },
            { packet: () => undefined, problem: () => undefined },
          ),
        ),
      );
      for (const socket of sockets.slice(25)) socket.close();
      await engine.close();
    }
    // An engine's own descriptors go with its object.
    assert.ok(descriptors() <= before + 12, `${before} before, ${descriptors()} after`);
  });

  test('two engines and a worker thread have nothing in common', limit, async () => {
    const engine = createNativeEngine();
    after(() => engine.close());
    const { listener, next } = await listening(engine);
    const worker = new Worker(
      `import('${native}').then(async ({ createNativeEngine }) => {
        const { connectTo, empty } = await import('${pair}');
        const engine = createNativeEngine();
        const client = await connectTo(engine, { localAddress: ${JSON.stringify(listener.localAddress)} }, {
          tls: { serverName: 'localhost', alpn: ['test'], trust: { mode: 'insecure' } } });
        client.connection.sendDatagram(empty, Buffer.from('from a worker'), 0, 13);
        await client.connection.statistics();
        await engine.close();
      });`,
      { eval: true },
    );
    const server = await next();
    await server.log.until('datagrams 1');
    assert.equal(server.datagrams[0]?.toString(), 'from a worker');
    await new Promise((resolve) => worker.once('exit', resolve));
    // A worker that is ended with everything open takes its engine along.
    const rough = new Worker(
      `import('${native}').then(async ({ createNativeEngine }) => {
        const { listening } = await import('${pair}');
        await listening(createNativeEngine());
        require('node:worker_threads').parentPort.postMessage('up');
      });`,
      { eval: true },
    );
    await new Promise((resolve) => rough.once('message', resolve));
    await rough.terminate();
  });

  test('a handler that throws disturbs nobody else', limit, async () => {
    const engine = createNativeEngine();
    const errors: unknown[] = [];
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => errors.push(error));
    const { client, server } = await connectPair(engine, {
      server: {
        onDatagram(bytes, start) {
          if (bytes[start] === 0) throw new Error('on purpose');
        },
      },
    });
    for (const byte of [1, 0, 1, 0]) client.connection.sendDatagram(empty, Buffer.from([byte]), 0, 1);
    await until(() => errors.length === 2);
    assert.ok(!server.log.events.includes('closed'));
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
    await engine.close();
  });

  test('400 connections come and go, memory settles', { timeout: 120_000 }, async () => {
    const engine = createNativeEngine();
    const { listener } = await listening(engine);
    const round = async (): Promise<number> => {
      for (let batch = 0; batch < 8; batch++) {
        const clients = await Promise.all(Array.from({ length: 50 }, () => connectTo(engine, listener)));
        for (const client of clients) client.connection.close(0, '');
        await Promise.all(clients.map((client) => client.closed));
      }
      await delay(300);
      return process.memoryUsage().rss;
    };
    const first = await round();
    const second = await round();
    const third = await round();
    assert.ok(third < first * 1.3 + 30e6, `${first} ${second} ${third}`);
    await engine.close();
  });
});
