import assert from 'node:assert/strict';
import net, { type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import tls from 'node:tls';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { tcpWaterMarks } from '../../src/quic/tcp-socket.js';
import { delay, until } from './pair.js';
import { secureServer, untilRefused, visit } from './secure-peers.js';

const limit = { timeout: 120_000 };

/** TCP without a word of TLS. */
function knock(port: number, localAddress = '127.0.0.1'): { raw: Socket; closed: Promise<string> } {
  const raw = net.connect({ host: '127.0.0.1', port, localAddress });
  let how = 'end';
  raw.on('error', (error: NodeJS.ErrnoException) => {
    how = error.code ?? 'error';
  });
  raw.resume();
  const closed = new Promise<string>((resolve) => {
    raw.once('close', () => resolve(how));
  });
  return { raw, closed };
}

describe('the limits of a secure listener', () => {
  const engine = createNativeEngine();
  after(() => engine.close());
  const { tcp } = engine;

  test('a handshake takes no longer than it may, and the others go on meanwhile', limit, async () => {
    const { listener, port, next } = await secureServer(tcp, { handshakeTimeout: 3_000 });
    const silent = knock(port);
    const slow = knock(port);
    slow.raw.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]));
    await until(() => listener.statistics().handshakes === 2);
    const quick = visit(port);
    const peer = await next();
    assert.equal(await silent.closed, 'ECONNRESET');
    assert.equal(await slow.closed, 'ECONNRESET');
    assert.deepEqual(listener.statistics(), { handshakes: 0, refused: 0 });
    peer.send('still here');
    await until(() => Buffer.concat(quick.chunks).toString() === 'still here');
    quick.socket.destroy();
    listener.close();
  });

  test('handshakes are limited in all and for each address', limit, async () => {
    const { listener, port, next } = await secureServer(tcp, {
      maxHandshakes: 5,
      maxHandshakesPerAddress: 3,
    });
    const knocking = [1, 2, 3].map(() => knock(port));
    await until(() => listener.statistics().handshakes === 3);
    assert.equal(await knock(port).closed, 'ECONNRESET');
    assert.equal(listener.statistics().refused, 1);
    if (process.platform === 'linux') {
      const others = [1, 2].map(() => knock(port, '127.0.0.2'));
      await until(() => listener.statistics().handshakes === 5);
      assert.equal(await knock(port, '127.0.0.3').closed, 'ECONNRESET');
      for (const { raw } of others) raw.destroy();
      await until(() => listener.statistics().handshakes === 3);
    }
    knocking[0]?.raw.destroy();
    await until(() => listener.statistics().handshakes === 2);
    const { socket, up } = visit(port);
    assert.equal(await up, true);
    await next();
    assert.equal(listener.statistics().handshakes, 2);
    for (const { raw } of knocking) raw.destroy();
    socket.destroy();
    listener.close();
  });

  test('connections are limited, those in the handshake among them', limit, async () => {
    const { listener, port, next } = await secureServer(tcp, { maxConnections: 2 });
    const first = visit(port);
    const peer = await next();
    const knocking = knock(port);
    await until(() => listener.statistics().handshakes === 1);
    const third = visit(port);
    assert.equal(await third.up, false);
    assert.equal(listener.statistics().refused, 1);
    peer.secure.reset();
    await until(() => peer.over !== undefined);
    const fourth = visit(port);
    assert.equal(await fourth.up, true);
    await next();
    knocking.raw.destroy();
    for (const { socket, raw } of [first, third, fourth]) {
      socket.destroy();
      raw.destroy();
    }
    listener.close();
  });

  test('a listener that accepts no more lets handshakes under way come to their end', limit, async () => {
    const { listener, port, peers } = await secureServer(tcp);
    const raw = net.connect({ host: '127.0.0.1', port });
    await until(() => listener.statistics().handshakes === 1);
    listener.stopAccepting();
    listener.stopAccepting();
    await untilRefused(port);
    const before = peers.length;
    const socket = tls.connect({ socket: raw, servername: 'localhost', rejectUnauthorized: false });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    await until(() => peers.length > before);
    const peer = peers[before];
    peer?.send('well');
    await until(() => Buffer.concat(chunks).toString() === 'well');
    await until(() => listener.statistics().handshakes === 0);
    listener.close();
    peer?.send(', still here');
    await until(() => Buffer.concat(chunks).toString() === 'well, still here');
    socket.destroy();
  });

  test('a listener that is closed resets handshakes under way, and no connection', limit, async () => {
    const { listener, port, next } = await secureServer(tcp);
    const running = visit(port);
    const peer = await next();
    const knocking = knock(port);
    await until(() => listener.statistics().handshakes === 1);
    listener.close();
    listener.close();
    assert.equal(await knocking.closed, 'ECONNRESET');
    peer.send('still here');
    await until(() => Buffer.concat(running.chunks).toString() === 'still here');
    assert.deepEqual(listener.statistics(), { handshakes: 0, refused: 0 });
    running.socket.destroy();
  });

  test('nonsense in the handshake is answered with an alert and an end', limit, async () => {
    const { listener, port, peers } = await secureServer(tcp);
    for (const nonsense of [
      Buffer.from('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n'),
      // A handshake record that says it is longer than any may be.
      Buffer.from([0x16, 0x03, 0x01, 0xff, 0xff, 0x01, 0x00]),
      // A message that no client begins with.
      Buffer.from([0x16, 0x03, 0x01, 0x00, 0x04, 0x14, 0x00, 0x00, 0x00]),
    ]) {
      const { raw, closed } = knock(port);
      const heard: Buffer[] = [];
      raw.on('data', (chunk: Buffer) => heard.push(chunk));
      raw.write(nonsense);
      assert.equal(await closed, 'end');
      const [type, , , , , level] = Buffer.concat(heard);
      assert.deepEqual([type, level], [0x15, 2], 'a fatal alert (RFC 8446 section 6)');
    }
    await until(() => listener.statistics().handshakes === 0);
    assert.equal(peers.length, 0);
    listener.close();
  });

  test('a writer of many small fragments of a handshake is cut off', limit, async () => {
    const { listener, port } = await secureServer(tcp);
    const { raw, closed } = knock(port);
    // One byte in each record, of a message of 60 KiB: rustls would keep all of them.
    const records = Buffer.alloc(6 * 60_000);
    for (let at = 0; at < records.length; at += 6) records.set([0x16, 0x03, 0x01, 0x00, 0x01, 0x00], at);
    records.set([0x01], 5);
    records.set([0x00], 11);
    records.set([0xea], 17);
    records.set([0x60], 23);
    raw.write(records);
    await closed;
    await until(() => listener.statistics().handshakes === 0);
    listener.close();
  });

  test('a reader without credit stops a writer of Node, and gets all in the end', limit, async () => {
    const { listener, port, next } = await secureServer(tcp, { credit: 0 });
    const { socket } = visit(port);
    const peer = await next();
    const size = 20_000_000;
    socket.end(Buffer.alloc(size, 3));
    let before = -1;
    while (before !== socket.writableLength) {
      before = socket.writableLength;
      await delay(100);
    }
    assert.ok(before > 0);
    assert.equal(peer.received, 0);
    for (let granted = 0; granted < size; granted += 70_001) {
      const most = Math.min(granted + 70_001, size);
      peer.secure.grant(70_001);
      await until(() => peer.received >= most);
      assert.equal(peer.received, most);
    }
    await until(() => peer.events.includes('end'));
    assert.equal(peer.truncated, false);
    socket.destroy();
    listener.close();
  });

  test('a writer to a peer that reads nothing is held up at the mark', limit, async () => {
    const { listener, port, next } = await secureServer(tcp);
    const { socket, raw, chunks } = visit(port);
    socket.removeAllListeners('data');
    socket.pause();
    const peer = await next();
    raw.pause();
    const piece = Buffer.alloc(16 * 1024, 1);
    let written = 0;
    for (let idle = 0; idle < 20; idle++) {
      while (peer.secure.write(piece, 0, piece.length)) {
        written += piece.length;
        idle = 0;
      }
      written += piece.length;
      const { drains } = peer;
      for (let count = 0; count < 20 && peer.drains === drains; count++) await delay(5);
      if (peer.drains === drains) break;
    }
    assert.ok(peer.secure.buffered >= tcpWaterMarks.high);
    peer.secure.end();
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    raw.resume();
    socket.resume();
    await until(() => Buffer.concat(chunks).length === written);
    socket.destroy();
    listener.close();
  });
});
