import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { after, describe, test } from 'node:test';
import type { SocketAddress } from '../../src/quic/address.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { connectPair, connectTo, empty, listening, streamLog, until } from './pair.js';

const engine = createNativeEngine();
after(() => engine.close());
const limit = { timeout: 120_000 };

/** A forwarder that, like a NAT, can give its client another outer port. */
async function nat(
  to: SocketAddress,
): Promise<{ address: SocketAddress; rebind(): Promise<void>; close(): void }> {
  const bound = async (socket: Socket): Promise<Socket> => {
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    return socket;
  };
  const inner = await bound(createSocket('udp4'));
  let client: { address: string; port: number } | undefined;
  const outside = async (): Promise<Socket> => {
    const socket = await bound(createSocket('udp4'));
    socket.on('message', (message) => client && inner.send(message, client.port, client.address));
    return socket;
  };
  let outer = await outside();
  inner.on('message', (message, from) => {
    client = from;
    outer.send(message, to.port, to.address);
  });
  return {
    address: { address: '127.0.0.1', port: inner.address().port },
    async rebind() {
      const old = outer;
      outer = await outside();
      old.close();
    },
    close() {
      inner.close();
      outer.close();
    },
  };
}

describe('a client whose address changes', () => {
  test('its own port: the connection, its streams and datagrams go on', limit, async () => {
    const { client, server } = await connectPair(engine, { server: { credit: 1e6 } });
    const log = streamLog();
    const stream = client.connection.openBidirectional(log);
    stream.grant(100);
    stream.write(Buffer.from('before'), 0, 6);
    await until(() => server.streams[0]?.log.bytes().length === 6);
    const before = server.connection.remoteAddress;
    assert.ok(client.connection.rebind);
    await client.connection.rebind();
    assert.notEqual(client.connection.localAddress.port, before.port);
    stream.write(Buffer.from('after'), 0, 5);
    client.connection.sendDatagram(empty, Buffer.from('datagram'), 0, 8);
    await server.log.until('datagrams 1');
    await server.log.until('migrated');
    assert.equal(server.connection.remoteAddress.port, client.connection.localAddress.port);
    await until(() => server.streams[0]?.log.bytes().toString() === 'beforeafter');
    server.streams[0]?.stream.write(Buffer.from('answer'), 0, 6);
    await until(() => log.bytes().toString() === 'answer');
  });

  test('twenty times in a row', limit, async () => {
    const { client, server } = await connectPair(engine);
    for (let count = 1; count <= 20; count++) {
      await client.connection.rebind?.();
      client.connection.sendDatagram(empty, Buffer.from('x'), 0, 1);
      await server.log.until(`datagrams ${count}`);
      server.connection.sendDatagram(empty, Buffer.from('x'), 0, 1);
      await client.log.until(`datagrams ${count}`);
    }
  });

  test('a NAT gives it another port', limit, async () => {
    const { listener, next } = await listening(engine);
    const middle = await nat(listener.localAddress);
    const client = await connectTo(engine, listener, { remote: middle.address });
    const server = await next();
    const before = server.connection.remoteAddress.port;
    await middle.rebind();
    client.connection.sendDatagram(empty, Buffer.from('x'), 0, 1);
    await server.log.until('migrated');
    assert.notEqual(server.connection.remoteAddress.port, before);
    await until(() => {
      server.connection.sendDatagram(empty, Buffer.from('y'), 0, 1);
      return client.datagrams.length > 0;
    });
    middle.close();
  });

  test('a server cannot', limit, async () => {
    const { server } = await connectPair(engine);
    await assert.rejects(server.connection.rebind?.() ?? Promise.resolve());
  });
});
