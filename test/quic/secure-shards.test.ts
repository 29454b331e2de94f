import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { TcpOpenError } from '../../src/quic/tcp-socket.js';
import { makeCertificate } from '../http/tls/certificates.js';
import { until } from './pair.js';
import { secureServer, untilRefused, visit } from './secure-peers.js';

const limit = { timeout: 120_000 };
const linux = process.platform === 'linux';

test('a secure listener of several threads spreads its connections over them', limit, async (t) => {
  const engine = createNativeEngine({ shards: 3 });
  t.after(() => engine.close());
  const { listener, port, peers } = await secureServer(engine.tcp);
  assert.equal(listener.shards, linux ? 3 : 1);
  const visitors = Array.from({ length: 60 }, () => visit(port));
  await until(() => peers.length === visitors.length);
  const threads = new Set(peers.map(({ secure }) => secure.thread));
  assert.equal(threads.size, linux ? 3 : 1);
  assert.ok(!threads.has(undefined));
  for (const peer of peers) peer.send('well');
  await until(() => visitors.every(({ chunks }) => Buffer.concat(chunks).toString() === 'well'));

  await assert.rejects(
    secureServer(engine.tcp, { local: listener.localAddress }),
    (error: unknown) => error instanceof TcpOpenError && error.errno === 'EADDRINUSE',
  );

  const later = makeCertificate({ names: ['localhost'] });
  listener.setCertificates([later]);
  for (let count = 0; count < 12; count++) {
    const { socket, up } = visit(port);
    assert.equal(await up, true);
    assert.deepEqual(socket.getPeerX509Certificate()?.raw, later.der);
    socket.destroy();
  }
  await until(() => listener.statistics().handshakes === 0);
  assert.equal(listener.statistics().refused, 0);
  listener.stopAccepting();
  await untilRefused(port);
  listener.close();
  const again = await secureServer(engine.tcp, { local: listener.localAddress });
  again.listener.close();
  for (const { socket } of visitors) socket.destroy();
});
