import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { type TcpOpenError, type TcpSocket, tcpWaterMarks } from '../../src/quic/tcp-socket.js';
import { connectPair, delay, empty } from './pair.js';
import { nativeWorld, plenty, TcpPeer, tcpPair, until } from './tcp-world.js';

const limit = { timeout: 120_000 };
/** For one attempt. */
const quiet = (): AbortSignal => new AbortController().signal;
const linux = process.platform === 'linux';

/** Sockets that this process has open. */
function sockets(): number {
  const of = (fd: string): string => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  };
  return readdirSync('/proc/self/fd').filter((fd) => of(fd).startsWith('socket:')).length;
}

describe('TCP sockets of the native engine at their limits', () => {
  const engine = createNativeEngine();
  const world = { ...nativeWorld(), client: engine.tcp, server: engine.tcp };
  after(() => engine.close());
  const wait = (condition: () => boolean): Promise<void> => until(world, condition);

  test('100 MB both ways at once, SHA-256 of each', { timeout: 120_000 }, async () => {
    const { client, server } = await tcpPair(world, { clientCredit: 0, serverCredit: 0 });
    const size = 100 * 1024 * 1024;
    const block = Buffer.alloc(1024 * 1024);
    for (let index = 0; index < block.length; index++) block[index] = (index * 31 + (index >> 8) * 7) & 0xff;
    const sums = [client, server].map((peer) => {
      const sent = createHash('sha256');
      const got = createHash('sha256');
      let at = 0;
      let received = 0;
      peer.data = (bytes, start, end) => {
        got.update(bytes.subarray(start, end));
        received += end - start;
        peer.socket.grant(end - start);
      };
      const more = (): void => {
        while (at < size) {
          // Pieces of many sizes, at odd places.
          const start = at % 4093;
          const end = Math.min(start + 1 + ((at * 7) % 90_001), block.length, start + size - at);
          sent.update(block.subarray(start, end));
          const room = peer.socket.write(block, start, end);
          at += end - start;
          if (!room) return;
        }
        peer.socket.end();
      };
      peer.drain = more;
      peer.socket.grant(256 * 1024);
      more();
      return { sent, got, received: () => received };
    });
    await wait(() => client.over !== undefined && server.over !== undefined);
    assert.deepEqual([client.over, server.over], [{ kind: 'ended' }, { kind: 'ended' }]);
    const [ours, theirs] = sums;
    assert.ok(ours && theirs);
    assert.equal(ours.received(), size);
    assert.equal(theirs.received(), size);
    const ourSum = ours.sent.digest('hex');
    const theirSum = theirs.sent.digest('hex');
    assert.equal(theirs.got.digest('hex'), ourSum);
    assert.equal(ours.got.digest('hex'), theirSum);
    assert.deepEqual(client.socket.statistics(), { bytesSent: size, bytesReceived: size });
  });

  test('a listener that accepts nobody any more: the attempt ends in time', {
    ...limit,
    skip: !linux && 'how a full backlog behaves is that of Linux',
  }, async () => {
    const blocked = new Worker(
      `const { createServer } = require('node:net');
       const { parentPort } = require('node:worker_threads');
       const server = createServer(() => undefined);
       server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
         parentPort.postMessage(server.address().port);
         setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
       });`,
      { eval: true },
    );
    const port = await new Promise<number>((resolve) => blocked.once('message', resolve));
    await delay(100);
    const open: TcpSocket[] = [];
    let problem: TcpOpenError | undefined;
    const remote = { address: '127.0.0.1', port };
    const started = performance.now();
    while (!problem && open.length < 20) {
      try {
        open.push(await engine.tcp.connect({ remote, connectTimeout: 400 }, new TcpPeer(), quiet()));
      } catch (error) {
        problem = error as TcpOpenError;
      }
    }
    assert.equal(problem?.problem, 'timeout');
    assert.equal(problem?.errno, 'ETIMEDOUT');
    assert.ok(performance.now() - started >= 390);
    const before = sockets();
    const aborting = new AbortController();
    setMaxListeners(0, aborting.signal);
    const attempts = Array.from({ length: 20 }, () =>
      engine.tcp.connect({ remote }, new TcpPeer(), aborting.signal).then(
        () => 'connected',
        (error: TcpOpenError) => error.problem,
      ),
    );
    await wait(() => sockets() === before + 20);
    aborting.abort();
    assert.deepEqual([...new Set(await Promise.all(attempts))], ['aborted']);
    await wait(() => sockets() === before);
    for (const socket of open) socket.reset();
    await blocked.terminate();
  });

  test('1,000 connections opened and closed leave no descriptor', {
    ...limit,
    skip: !linux && 'counts descriptors in /proc',
  }, async () => {
    const accepted: TcpPeer[] = [];
    const listener = await engine.tcp.listen({ local: { address: '127.0.0.1', port: 0 } }, (socket) => {
      const peer = new TcpPeer(plenty).attach(socket);
      peer.end = () => peer.socket.end();
      accepted.push(peer);
      return peer;
    });
    const before = sockets();
    for (let round = 0; round < 10; round++) {
      const clients = await Promise.all(
        Array.from({ length: 100 }, async (_, index) => {
          const peer = new TcpPeer(plenty);
          peer.attach(await engine.tcp.connect({ remote: listener.localAddress }, peer, quiet()));
          peer.send('x');
          if (index % 3 === 0) peer.socket.reset();
          else peer.socket.end();
          return peer;
        }),
      );
      await wait(() => clients.every((peer) => peer.over));
    }
    await wait(() => accepted.length === 1000 && accepted.every((peer) => peer.over));
    await wait(() => sockets() === before);
    assert.equal(accepted.filter((peer) => peer.over?.kind === 'ended').length, 660);
    listener.close();
    await wait(() => sockets() === before - 1);
  });

  test('1,000 slow readers: what waits for each is bounded', { timeout: 120_000 }, async (t) => {
    const listener = await engine.tcp.listen({ local: { address: '127.0.0.1', port: 0 } }, (socket) =>
      new TcpPeer(0).attach(socket),
    );
    const count = linux ? 1000 : 100;
    const peers: TcpPeer[] = [];
    while (peers.length < count) {
      peers.push(
        ...(await Promise.all(
          Array.from({ length: 50 }, async () => {
            const peer = new TcpPeer(0);
            return peer.attach(await engine.tcp.connect({ remote: listener.localAddress }, peer, quiet()));
          }),
        )),
      );
    }
    const before = process.memoryUsage().rss;
    const piece = Buffer.alloc(16 * 1024);
    const fill = (peer: TcpPeer): void => {
      while (peer.socket.write(piece, 0, piece.length));
    };
    for (const peer of peers) {
      peer.drain = () => fill(peer);
      fill(peer);
    }
    let last = -1;
    const sent = (): number => peers.reduce((sum, peer) => sum + peer.socket.statistics().bytesSent, 0);
    for (let now = sent(); now !== last; now = sent()) {
      last = now;
      await delay(200);
    }
    const grown = process.memoryUsage().rss - before;
    const most = Math.max(...peers.map((peer) => peer.socket.buffered));
    assert.ok(most <= tcpWaterMarks.high + piece.length, `${most} bytes wait`);
    assert.ok(grown < count * 2 * tcpWaterMarks.high + 64e6, `${grown} bytes more for ${count} readers`);
    const kernel = Math.round(sent() / count / 1024);
    t.diagnostic(
      `${count} readers: the process grew by ${Math.round(grown / 1e6)} MB, ${kernel} KiB each in the kernel`,
    );
    for (const peer of peers) peer.socket.reset();
    await wait(() => peers.every((peer) => peer.over));
    listener.close();
  });

  test('bulk over TCP leaves QUIC and UDP their turn', limit, async () => {
    const { client, server } = await tcpPair(world, { serverCredit: 0 });
    const bytes = Buffer.alloc(64 * 1024);
    let running = true;
    let moved = 0;
    server.data = (_bytes, start, end) => {
      moved += end - start;
      server.socket.grant(end - start);
    };
    server.socket.grant(4 * 1024 * 1024);
    const more = (): void => {
      while (running && client.socket.write(bytes, 0, bytes.length));
    };
    client.drain = more;
    more();

    const pair = await connectPair(engine, {
      server: {
        onDatagram: (view, start, end, connection) => {
          connection.sendDatagram(empty, view, start, end);
        },
      },
    });
    const echo = await engine.udp.open(
      { local: { address: '127.0.0.1', port: 0 } },
      {
        packet: (view, start, end, from) => {
          if (from) echo.send(view, start, end, from);
        },
        problem: () => undefined,
      },
    );
    let back = 0;
    const socket = await engine.udp.open(
      { remote: echo.localAddress },
      { packet: () => back++, problem: () => undefined },
    );
    const times: number[] = [];
    for (let round = 1; round <= 100; round++) {
      const started = performance.now();
      pair.client.connection.sendDatagram(empty, Buffer.from('ping'), 0, 4);
      socket.send(Buffer.from('ping'), 0, 4);
      await wait(() => pair.client.datagrams.length >= round && back >= round);
      times.push(performance.now() - started);
    }
    running = false;
    times.sort((a, b) => a - b);
    const median = times[50] ?? 0;
    assert.ok(moved > 10e6, `${moved} bytes moved meanwhile`);
    assert.ok(median < 1_000, `half of the round trips took more than ${median} ms`);
    client.socket.reset();
  });

  test('a slow socket does not stop the others', limit, async () => {
    const slow = await tcpPair(world, { serverCredit: 0 });
    const bytes = Buffer.alloc(64 * 1024);
    slow.client.drain = () => {
      while (slow.client.socket.write(bytes, 0, bytes.length));
    };
    slow.client.drain();
    const { client, server } = await tcpPair(world);
    for (let round = 1; round <= 20; round++) {
      client.send('ping');
      await wait(() => server.received === 4 * round);
    }
    slow.client.socket.reset();
  });

  test('out of descriptors, connections wait in the kernel, and the engine does not spin', {
    ...limit,
    skip: !linux && 'limits descriptors with ulimit',
  }, async () => {
    const script = `
      import { createNativeEngine } from '${new URL('../../src/quic/native/index.js', import.meta.url)}';
      import { once } from 'node:events';
      const engine = createNativeEngine();
      const open = [];
      let total = 0;
      const listener = await engine.tcp.listen({ local: { address: '127.0.0.1', port: 0 } }, (socket) => {
        total++;
        open.push(socket);
        return { data() {}, end() { socket.end(); }, drain() {}, closed() { open.splice(open.indexOf(socket), 1); } };
      });
      const tell = (what) => console.log(JSON.stringify(what));
      tell({ port: listener.localAddress.port });
      process.stdin.on('data', async (line) => {
        const command = String(line).trim();
        if (command === 'count') {
          const before = process.cpuUsage();
          await new Promise((resolve) => setTimeout(resolve, 500));
          const { user, system } = process.cpuUsage(before);
          const remote = { address: '127.0.0.1', port: listener.localAddress.port };
          const handler = { data() {}, end() {}, drain() {}, closed() {} };
          const problem = await engine.tcp
            .connect({ remote }, handler, new AbortController().signal)
            .then(() => 'none', (error) => error.problem);
          tell({ total, open: open.length, cpu: (user + system) / 1000, problem });
        } else if (command === 'free') {
          for (const socket of [...open]) socket.reset();
          tell({});
        } else process.exit(0);
      });`;
    const child = spawn(
      'sh',
      ['-c', 'ulimit -n 64; exec "$0" --input-type=module -e "$1"', process.execPath, script],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const lines: string[] = [];
    let rest = '';
    child.stdout.on('data', (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts);
    });
    const read = async (): Promise<Record<string, number | string>> => {
      await wait(() => lines.length > 0);
      return JSON.parse(lines.shift() ?? '{}');
    };
    const ask = (command: string): Promise<Record<string, number | string>> => {
      child.stdin.write(`${command}\n`);
      return read();
    };
    const { port } = await read();
    const clients: Socket[] = [];
    for (let count = 0; count < 100; count++) {
      const client = connect(Number(port), '127.0.0.1');
      client.on('error', () => undefined);
      await new Promise((resolve) => client.once('connect', resolve));
      clients.push(client);
    }
    let state = await ask('count');
    assert.ok(Number(state['open']) < 60, `${state['open']} accepted`);
    assert.ok(Number(state['cpu']) < 250, `${state['cpu']} ms of processor time in half a second`);
    assert.equal(state['problem'], 'no-descriptors');
    for (let round = 0; round < 50 && Number(state['total']) < 100; round++) {
      await ask('free');
      state = await ask('count');
    }
    // An attempt of its own may have been among them.
    assert.ok(Number(state['total']) >= 100, `${state['total']} accepted in the end`);
    child.stdin.write('exit\n');
    await new Promise((resolve) => child.once('exit', resolve));
    for (const client of clients) client.destroy();
  });
});
