import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { systemClock } from '../../../src/clock/system-clock.js';
import { createVirtualClock } from '../../../src/clock/virtual-clock.js';
import { createNativeEngine } from '../../../src/quic/native/index.js';
import { type ByteDuplex, createByteDuplex } from '../../../src/tunnel/tcp/byte-duplex.js';
import { FLOW_WINDOW } from '../../../src/tunnel/tcp/byte-flow.js';
import { socketSide, socketSideHandler } from '../../../src/tunnel/tcp/socket-side.js';
import { certificate } from '../../http/tcp/peers.js';
import { type ScriptedSide, scriptedSide } from './scripted-side.js';

const limit = { timeout: 120_000 };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Unlike `once`, it does not mind an error before. */
const closed = (duplex: ByteDuplex): Promise<void> => new Promise((resolve) => duplex.once('close', resolve));

function scripted(clock = createVirtualClock()) {
  const { duplex, handler, attach } = createByteDuplex({ clock });
  const side: ScriptedSide = scriptedSide(handler);
  const errors: (Error & { code?: string })[] = [];
  duplex.on('error', (error) => errors.push(error));
  return { clock, duplex, side, errors, attach: () => attach(side) };
}

test('bytes and ends both ways; a clean end resets nothing', limit, async () => {
  const { duplex, side, errors, attach } = scripted();
  attach();
  duplex.write('request');
  duplex.end(' and its end');
  assert.equal(side.text(), 'request and its end');
  await turn();
  assert.ok(side.ended);
  side.tell('answer');
  side.tellEnd();
  const chunks: Buffer[] = [];
  for await (const chunk of duplex) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), 'answer');
  assert.deepEqual([duplex.bytesRead, duplex.bytesWritten], [6, 19]);
  await turn();
  assert.ok(duplex.destroyed, 'it closes itself');
  assert.deepEqual([side.resets, errors], [[], []]);
});

test('the peer ends and this side goes on', limit, async () => {
  const { duplex, side, attach } = scripted();
  attach();
  duplex.resume();
  side.tellEnd();
  await once(duplex, 'end');
  assert.ok(duplex.writable && !duplex.destroyed);
  duplex.write('late words');
  assert.equal(side.text(), 'late words');
  duplex.end();
  await closed(duplex);
  assert.ok(side.ended);
  assert.deepEqual(side.resets, []);
});

test('what is written and ended before there is a side goes out when there is one', limit, async () => {
  const { duplex, side, attach } = scripted();
  for (const word of ['one ', 'two ', 'three']) duplex.write(word);
  duplex.end();
  await turn();
  assert.equal(side.text(), '');
  attach();
  await once(duplex, 'finish');
  assert.equal(side.text(), 'one two three');
  assert.ok(side.ended);
});

test('small writes of a turn go out as one', limit, async () => {
  const { duplex, side, attach } = scripted();
  attach();
  duplex.cork();
  for (let round = 0; round < 10; round++) duplex.write('word ');
  duplex.uncork();
  await turn();
  assert.equal(side.written.length, 1);
  assert.equal(side.text(), 'word '.repeat(10));
});

test('a side without room holds writes back until it drains', limit, async () => {
  const { duplex, side, attach } = scripted();
  attach();
  side.room = false;
  let written = 0;
  for (let round = 0; round < 4; round++) duplex.write(Buffer.alloc(20_000), () => written++);
  await turn();
  assert.equal(written, 0);
  assert.equal(side.written.length, 1, 'the rest waits in the stream');
  assert.ok(duplex.writableNeedDrain);
  let drained = 0;
  duplex.on('drain', () => drained++);
  side.room = true;
  side.tellDrain();
  await turn();
  assert.deepEqual([drained, written], [1, 4]);
  assert.equal(Buffer.concat(side.written).length, 80_000);
});

test('a reader who does not come holds the side back', limit, async () => {
  const { duplex, side, attach } = scripted();
  attach();
  let told = 0;
  while (side.credit > 0) {
    const size = Math.min(side.credit, 16_384);
    side.tell(Buffer.alloc(size, told % 251));
    told += size;
    await turn();
  }
  assert.ok(told <= 64 * 1024 + FLOW_WINDOW, `${told} bytes without a reader`);
  let read = 0;
  duplex.on('data', (chunk: Buffer) => {
    read += chunk.length;
  });
  await turn();
  assert.equal(read, told);
  assert.ok(side.credit > 0);
});

test('a reset is an error with its code, a loss another', limit, async () => {
  const reset = scripted();
  reset.attach();
  reset.side.tellReset('connect-error');
  await closed(reset.duplex);
  assert.deepEqual(
    reset.errors.map(({ code }) => code),
    ['ERR_TUNNEL_RESET'],
  );
  const lost = scripted();
  lost.attach();
  lost.side.tellLost('the proxy is gone');
  await closed(lost.duplex);
  assert.deepEqual(
    lost.errors.map(({ code }) => code),
    ['ERR_CONNECTION_LOST'],
  );
});

test(
  'destroy resets, with and without an error, also while a write waits, and before there is a side',
  limit,
  async () => {
    for (const act of [
      (duplex: ByteDuplex) => duplex.destroy(),
      (duplex: ByteDuplex) => duplex.destroy(new Error('enough')),
      (duplex: ByteDuplex) => duplex.resetAndDestroy(),
    ]) {
      const { duplex, side, attach } = scripted();
      attach();
      side.room = false;
      let failed: Error | null | undefined;
      duplex.write('waits', (error) => {
        failed = error;
      });
      act(duplex);
      await closed(duplex);
      await turn();
      assert.deepEqual(side.resets, ['cancelled']);
      assert.ok(failed);
    }
    const early = scripted();
    early.duplex.destroy();
    early.attach();
    assert.deepEqual(early.side.resets, ['cancelled']);
  },
);

test('resetAndDestroy resets also what has ended one way', limit, async () => {
  const { duplex, side, attach } = scripted();
  attach();
  duplex.end();
  await turn();
  duplex.resetAndDestroy();
  await turn();
  assert.deepEqual(side.resets, ['cancelled']);
});

test('a peer that takes no more bytes fails the writes that come', limit, async () => {
  const { duplex, handlerEnded, errors } = (() => {
    const binding = createByteDuplex({ clock: createVirtualClock() });
    const errors: (Error & { code?: string })[] = [];
    binding.duplex.on('error', (error) => errors.push(error));
    binding.attach(scriptedSide(binding.handler));
    return {
      duplex: binding.duplex,
      errors,
      handlerEnded() {
        binding.handler.end();
        binding.handler.closed({ kind: 'ended' });
      },
    };
  })();
  duplex.resume();
  handlerEnded();
  await once(duplex, 'end');
  duplex.write('too late');
  await closed(duplex);
  assert.equal(errors[0]?.code, 'ERR_TUNNEL_RESET');
});

test('setTimeout tells of silence, and bytes put it off', limit, async () => {
  const { duplex, side, clock, attach } = scripted();
  attach();
  let timeouts = 0;
  assert.equal(
    duplex.setTimeout(1_000, () => timeouts++),
    duplex,
  );
  assert.equal(duplex.timeout, 1_000);
  await clock.advanceAsync(900);
  side.tell('.');
  await clock.advanceAsync(900);
  duplex.write('.');
  await clock.advanceAsync(900);
  assert.equal(timeouts, 0);
  await clock.advanceAsync(200);
  assert.equal(timeouts, 1);
  await clock.advanceAsync(5_000);
  assert.equal(timeouts, 1, 'once for a silence');
  duplex.on('timeout', () => timeouts++);
  duplex.write('.');
  await clock.advanceAsync(1_100);
  assert.equal(timeouts, 2);
  duplex.setTimeout(0);
  duplex.write('.');
  await clock.advanceAsync(5_000);
  assert.equal(timeouts, 2);
});

test('ref and unref say whether the process is held', () => {
  const held: boolean[] = [];
  const { duplex } = createByteDuplex({
    clock: createVirtualClock(),
    holdProcess: (hold) => held.push(hold),
  });
  assert.equal(duplex.unref().ref().setNoDelay(true).setKeepAlive(true, 1), duplex);
  assert.deepEqual(held, [false, true]);
  duplex.destroy();
});

/** A duplex over a TCP connection of the engine to a server of Node's. */
async function connected(t: TestContext, server: net.Server): Promise<() => Promise<ByteDuplex>> {
  const engine = createNativeEngine();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.close();
    await engine.close();
  });
  const { port } = server.address() as AddressInfo;
  return async () => {
    const { duplex, handler, attach } = createByteDuplex({ clock: systemClock });
    const remote = { address: '127.0.0.1', port };
    const socket = await engine.tcp.connect(
      { remote },
      socketSideHandler(handler),
      new AbortController().signal,
    );
    attach(socketSide(socket));
    return duplex;
  };
}

test('40 MB through a pipeline and back, byte for byte', limit, async (t) => {
  const open = await connected(
    t,
    net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)),
  );
  const duplex = await open();
  const chunk = Buffer.alloc(256 * 1024, 'throughput ');
  const rounds = 160;
  let received = 0;
  let wrong = 0;
  const reading = (async () => {
    for await (const piece of duplex as AsyncIterable<Buffer>) {
      const at = received % chunk.length;
      const expected = Buffer.concat([chunk, chunk, chunk]).subarray(at, at + piece.length);
      if (!piece.equals(expected)) wrong++;
      received += piece.length;
    }
  })();
  await pipeline(
    function* () {
      for (let round = 0; round < rounds; round++) yield chunk;
    },
    duplex,
    { end: true },
  );
  await reading;
  assert.equal(received, rounds * chunk.length);
  assert.equal(wrong, 0);
});

test('http.Agent keeps it alive and uses it again', limit, async (t) => {
  let connections = 0;
  const server = http.createServer((request, response) => response.end(`hello ${request.url}`));
  server.on('connection', () => connections++);
  const open = await connected(t, server);
  const duplex = await open();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  Object.assign(agent, { createConnection: () => duplex });
  for (const path of ['/one', '/two']) {
    const [response] = (await once(http.get({ agent, path, timeout: 5_000 }), 'response')) as [
      http.IncomingMessage,
    ];
    const body: Buffer[] = [];
    for await (const piece of response) body.push(piece);
    assert.equal(Buffer.concat(body).toString(), `hello ${path}`);
    await turn();
  }
  assert.equal(connections, 1);
  agent.destroy();
  await closed(duplex);
});

test('tls.connect runs over it, with its own half close', limit, async (t) => {
  const open = await connected(
    t,
    tls.createServer(
      { cert: String(certificate.cert), key: String(certificate.key), allowHalfOpen: true },
      (socket) => {
        socket.on('error', () => undefined);
        socket.pipe(socket);
      },
    ),
  );
  const duplex = await open();
  const halfOpen = { allowHalfOpen: true };
  const options: tls.ConnectionOptions = {
    socket: duplex,
    ca: String(certificate.cert),
    servername: 'localhost',
    ...halfOpen,
  };
  const socket = tls.connect(options);
  await once(socket, 'secureConnect');
  socket.end('over TLS');
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), 'over TLS');
});

test('an RST of the target is ERR_TUNNEL_RESET; destroy is an RST for the target', limit, async (t) => {
  const sockets: net.Socket[] = [];
  const open = await connected(
    t,
    net.createServer((socket) => {
      socket.on('error', () => undefined);
      sockets.push(socket);
    }),
  );
  const reset = await open();
  const [error] = await (async () => {
    const told = once(reset, 'error');
    while (sockets.length < 1) await turn();
    sockets[0]?.resetAndDestroy();
    return told;
  })();
  assert.equal(error.code, 'ERR_TUNNEL_RESET');

  const destroyed = await open();
  while (sockets.length < 2) await turn();
  const told = once(sockets[1] ?? assert.fail(), 'error');
  destroyed.destroy();
  assert.equal((await told)[0].code, 'ECONNRESET');
});
