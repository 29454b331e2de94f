import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { QuicConfigurationError } from '../../src/quic/engine.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { makeCertificate } from '../http/tls/certificates.js';
import { gate } from './gate.js';
import { delay, never, until as soon } from './pair.js';
import { secureServer, visit } from './secure-peers.js';
import { nativeWorld, settled, simulatedWorld, TcpPeer, until } from './tcp-world.js';

const limit = { timeout: 120_000 };
const greeting = { protocol: 'h2', bytes: Buffer.from('welcome, ') };
const own = makeCertificate({ names: ['a client'] });

describe('what a secure listener says with its part of the handshake', () => {
  const engine = createNativeEngine();
  after(() => engine.close());
  const { tcp } = engine;

  test('it is there before the server has heard the end of the handshake', limit, async (t) => {
    const { listener, port, peers, next } = await secureServer(tcp, { greeting });
    t.after(() => listener.close());
    const way = await gate(t, port);
    const { socket, chunks } = visit(way.port, { ALPNProtocols: ['h2'], minVersion: 'TLSv1.3' });
    await soon(() => Buffer.concat(chunks).toString() === 'welcome, ');
    assert.equal(peers.length, 0);
    assert.equal(listener.statistics().handshakes, 1);
    way.open();
    const peer = await next();
    assert.equal(peer.secure.greeted, true);
    peer.send('client');
    await soon(() => Buffer.concat(chunks).toString() === 'welcome, client');
    socket.write('thanks');
    await soon(() => peer.text() === 'thanks');
    socket.destroy();
  });

  const cases = [
    { how: 'TLS 1.2', client: { maxVersion: 'TLSv1.2' }, tls: {} },
    {
      how: 'a client that is asked for its certificate',
      client: { cert: own.cert, key: own.key },
      tls: { clientCertificates: { mode: 'required', ca: own.cert } },
    },
  ] as const;
  for (const { how, client, tls } of cases) {
    test(`${how}: right behind the handshake, and not to those who do not complete it`, limit, async (t) => {
      const { listener, port, peers, next } = await secureServer(tcp, { greeting, tls });
      t.after(() => listener.close());
      const way = await gate(t, port);
      const { chunks, socket } = visit(way.port, { ALPNProtocols: ['h2'], ...client });
      await delay(100);
      assert.equal(peers.length, 0);
      assert.equal(chunks.length, 0);
      way.open();
      const peer = await next();
      assert.equal(peer.secure.greeted, true);
      peer.send('client');
      await soon(() => Buffer.concat(chunks).toString() === 'welcome, client');
      socket.destroy();
    });
  }

  test('a client of another protocol is not greeted', limit, async (t) => {
    const { listener, port, next } = await secureServer(tcp, { greeting });
    t.after(() => listener.close());
    for (const ALPNProtocols of [['http/1.1'], []]) {
      const { chunks, socket } = visit(port, { ALPNProtocols });
      const peer = await next();
      assert.equal(peer.secure.greeted, false);
      peer.send('client');
      await soon(() => Buffer.concat(chunks).toString() === 'client');
      socket.destroy();
    }
  });

  test('one that is too long is refused', limit, async () => {
    const bytes = Buffer.alloc(32 * 1024 + 1);
    await assert.rejects(
      secureServer(tcp, { greeting: { protocol: 'h2', bytes } }),
      (error: unknown) => error instanceof QuicConfigurationError && /32769 bytes/.test(error.message),
    );
  });
});

for (const [name, makeWorld] of [
  ['the engine', nativeWorld],
  ['the simulated network', simulatedWorld],
] as const) {
  test(`a secure listener of ${name} greets its own clients in front of all else`, limit, async (t) => {
    const world = makeWorld();
    t.after(() => world.close());
    const { listener, next } = await settled(
      world,
      secureServer(world.server, { local: { address: world.address, port: 0 }, greeting }),
    );
    for (const alpn of ['h2', 'http/1.1']) {
      const client = new TcpPeer();
      const secure = await settled(
        world,
        world.client.connectSecure(
          {
            remote: listener.localAddress,
            tls: { serverName: 'localhost', alpn: [alpn], trust: { mode: 'insecure' } },
          },
          client,
          never,
        ),
      );
      client.attach(secure);
      assert.equal(secure.greeted, false);
      const server = await settled(world, next());
      assert.equal(server.secure.greeted, alpn === 'h2');
      server.send('client');
      const whole = alpn === 'h2' ? 'welcome, client' : 'client';
      secure.grant(3);
      await until(world, () => client.text() === whole.slice(0, 3));
      secure.grant(100);
      await until(world, () => client.text() === whole);
      secure.reset();
    }
    listener.close();
  });
}
