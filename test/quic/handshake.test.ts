import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { after, describe, test } from 'node:test';
import type { SocketAddress } from '../../src/quic/address.js';
import { QuicConfigurationError, QuicConnectError, type QuicConnectFailure } from '../../src/quic/engine.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { clientTls, connectPair, connectTo, delay, empty, listening, never, side, until } from './pair.js';

const engine = createNativeEngine();
after(() => engine.close());
const limit = { timeout: 120_000 };

async function failureOf(connecting: Promise<unknown>): Promise<QuicConnectFailure> {
  try {
    await connecting;
  } catch (error) {
    assert.ok(error instanceof QuicConnectError, String(error));
    return error.failure;
  }
  assert.fail('it connected');
}

/** A UDP port that takes packets and never answers. */
async function silence(): Promise<{ socket: Socket; address: SocketAddress; heard: () => number }> {
  const socket = createSocket('udp4');
  let heard = 0;
  socket.on('message', () => heard++);
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return { socket, address: { address: '127.0.0.1', port: socket.address().port }, heard: () => heard };
}

function connectWithin(remote: SocketAddress, handshakeTimeout: number, signal = never) {
  return engine.connect(
    { remote, tls: clientTls(), handshakeTimeout },
    (connection) => side(connection).handler,
    signal,
  );
}

describe('coming up and going down', () => {
  test('IPv4, IPv6 and both on one port', limit, async () => {
    const v6 = await listening(engine, { local: { address: '::1', port: 0 } });
    await connectTo(engine, v6.listener);
    assert.equal((await v6.next()).connection.remoteAddress.address, '::1');

    const both = await listening(engine, { local: { address: '::', port: 0 }, dualStack: true });
    const { port } = both.listener.localAddress;
    for (const address of ['127.0.0.1', '::1']) {
      const client = await connectTo(engine, both.listener, { remote: { address, port } });
      assert.deepEqual(client.connection.remoteAddress, { address, port });
      const server = await both.next();
      assert.equal(server.connection.remoteAddress.address, address);
      assert.equal(server.connection.localAddress.address, address);
      assert.equal(server.connection.remoteAddress.port, client.connection.localAddress.port);
    }
    const only = await listening(engine, { local: { address: '::', port: 0 } });
    const failure = await failureOf(
      connectWithin({ address: '127.0.0.1', port: only.listener.localAddress.port }, 1000),
    );
    assert.equal(failure.kind, 'unreachable');
  });

  test('a port in use is refused with its errno', limit, async () => {
    const { listener } = await listening(engine);
    assert.ok((listener.receiveBuffer ?? 0) > 10_000);
    await assert.rejects(
      listening(engine, { local: listener.localAddress }),
      (error: QuicConfigurationError) =>
        error instanceof QuicConfigurationError && error.errno === 'EADDRINUSE',
    );
    await assert.rejects(
      listening(engine, { local: { address: 'localhost', port: 0 } }),
      QuicConfigurationError,
    );
  });

  test('nobody there: unreachable at once; silence: timeout', limit, async () => {
    const { socket, address } = await silence();
    assert.deepEqual(await failureOf(connectWithin(address, 150)), { kind: 'timeout' });
    socket.close();
    await delay(20);
    const failure = await failureOf(connectWithin(address, 5000));
    assert.deepEqual(failure, { kind: 'unreachable', errno: 'ECONNREFUSED' });
  });

  test('an abort rejects, stops the packets and leaves nothing behind', limit, async () => {
    const { socket, address, heard } = await silence();
    const controller = new AbortController();
    const connecting = failureOf(connectWithin(address, 5000, controller.signal));
    await until(() => heard() > 0);
    controller.abort();
    assert.deepEqual(await connecting, { kind: 'aborted' });
    assert.deepEqual(await failureOf(connectWithin(address, 5000, controller.signal)), { kind: 'aborted' });
    await delay(1500);
    const before = heard();
    await delay(500);
    assert.equal(heard(), before);
    socket.close();
  });

  test('accept never waits for a slow handshake', limit, async () => {
    const { listener, next } = await listening(engine, { handshakeTimeout: 300 });
    // The first packet of a handshake that never goes on.
    const relay = createSocket('udp4');
    await new Promise<void>((resolve) => relay.bind(0, '127.0.0.1', resolve));
    relay.once('message', (message) =>
      relay.send(message, listener.localAddress.port, listener.localAddress.address),
    );
    const address = { address: '127.0.0.1', port: relay.address().port };
    const failure = failureOf(connectWithin(address, 200));
    await until(() => listener.statistics().handshakes === 1);
    await connectTo(engine, listener);
    await next();
    assert.equal(listener.statistics().handshakes, 1);
    assert.deepEqual(await failure, { kind: 'timeout' });
    await until(() => listener.statistics().handshakes === 0);
    relay.close();
  });

  test('Retry validates addresses from the limit on', limit, async () => {
    const { listener, next } = await listening(engine, { retryAbove: 0 });
    const client = await connectTo(engine, listener);
    await next();
    assert.equal(listener.statistics().retries, 1);
    assert.equal(client.connection.sendDatagram(empty, Buffer.from('x'), 0, 1), 'sent');
    const { listener: plain } = await listening(engine);
    await connectTo(engine, plain);
    assert.equal(plain.statistics().retries, 0);
  });

  test('handshakes beyond the limit are refused', limit, async () => {
    const { listener } = await listening(engine, { maxHandshakes: 0 });
    const failure = await failureOf(connectWithin(listener.localAddress, 2000));
    assert.equal(failure.kind, 'refused');
    assert.equal(failure.kind === 'refused' && failure.code, 2);
    assert.equal(listener.statistics().refused, 1);
  });

  test('a listener that stops accepting keeps its connections', limit, async () => {
    const { listener, client, server } = await connectPair(engine);
    listener.stopAccepting();
    const failure = await failureOf(connectWithin(listener.localAddress, 2000));
    assert.equal(failure.kind, 'refused');
    client.connection.sendDatagram(empty, Buffer.from('x'), 0, 1);
    await server.log.until('datagrams 1');
    await listener.close(0x100, 'going');
    assert.deepEqual(await client.closed, {
      kind: 'application',
      code: 0x100,
      reason: 'going',
      byPeer: true,
    });
    assert.equal((await server.closed).kind, 'application');
    const after = await failureOf(connectWithin(listener.localAddress, 2000));
    assert.equal(after.kind, 'unreachable');
    await listener.close(0, '');
  });

  test('silence ends a connection after its idle time, keep-alive prevents it', limit, async () => {
    const quiet = await connectPair(engine, { connect: { transport: { idleTimeout: 200 } } });
    assert.deepEqual(await quiet.client.closed, { kind: 'idle' });
    assert.deepEqual(await quiet.server.closed, { kind: 'idle' });
    const kept = await connectPair(engine, { connect: { transport: { idleTimeout: 200, keepAlive: 50 } } });
    await delay(500);
    assert.ok(!kept.client.log.events.includes('closed'));
  });

  test('garbage and truncated packets disturb nobody', limit, async () => {
    const { listener, next } = await listening(engine);
    const noise = createSocket('udp4');
    for (let length = 0; length < 300; length++) {
      const bytes = Buffer.alloc(length * 5, (length * 31) & 0xff);
      if (length % 2) bytes.fill(0xc3, 0, 1);
      noise.send(bytes, listener.localAddress.port, '127.0.0.1');
    }
    await connectTo(engine, listener);
    await next();
    noise.close();
  });
});
