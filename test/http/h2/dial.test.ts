import assert from 'node:assert/strict';
import net from 'node:net';
import { after, type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { systemClock } from '../../../src/clock/system-clock.js';
import type { HttpClientConnection } from '../../../src/http/connection.js';
import { type DialOptions, dialH2 } from '../../../src/http/h2/dial.js';
import type { SocketAddress } from '../../../src/quic/address.js';
import { createNativeEngine } from '../../../src/quic/native/index.js';
import type { ClientTls } from '../../../src/quic/tls.js';
import { certificate, clientTls, echo, extendedHead, recorder, send, serve } from '../tcp/peers.js';
import { watchAccepted } from '../tcp/raw-sockets.js';

const limit = { timeout: 120_000 };
const engine = createNativeEngine();
after(() => engine.close());

function dial(
  remote: SocketAddress,
  more: Partial<DialOptions> = {},
  signal = AbortSignal.timeout(60_000),
): Promise<HttpClientConnection> {
  return dialH2(engine, { remote, tls: clientTls, clock: systemClock, ...more }, {}, signal);
}

async function listening(t: TestContext, server: net.Server | tls.Server): Promise<SocketAddress> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return { address: '127.0.0.1', port: (server.address() as net.AddressInfo).port };
}

test("over the engine's TLS a tunnel carries bytes both ways", limit, async (t) => {
  const served = await serve(t, echo);
  const connection = await dial(served.listener.localAddress);
  assert.deepEqual(connection.remoteAddress, served.listener.localAddress);
  assert.equal(connection.settings.extendedConnect, true);
  assert.equal(served.connections[0]?.serverName, 'localhost');
  const seen = recorder();
  const stream = connection.open(extendedHead, seen);
  stream.grant(100);
  send(stream, 'there and back');
  stream.end();
  assert.deepEqual(await stream.closed, { kind: 'ended' });
  assert.equal(seen.bytes().toString(), 'there and back');
  assert.ok((await connection.ping(AbortSignal.timeout(60_000))) >= 0);
  await connection.close();
  assert.equal((await connection.closed).reason, 'closed');
});

test('a certificate is refused as it is by Node, each problem with its code', limit, async (t) => {
  const served = await serve(t, echo);
  const remote = served.listener.localAddress;
  const cases: [Partial<ClientTls>, string][] = [
    [{ trust: { mode: 'system' } }, 'ERR_CERTIFICATE_UNKNOWN'],
    [{ serverName: 'other.example' }, 'ERR_CERTIFICATE_NAME'],
    [{ trust: { mode: 'pin', pins: [`sha256-${'A'.repeat(43)}`] } }, 'ERR_PIN_MISMATCH'],
    [{ trust: { mode: 'pin', pins: ['sha256-x'] } }, 'ERR_LINK'],
    [{ serverName: 'no name' }, 'ERR_LINK'],
    [{ trust: { mode: 'ca', ca: 'nothing' } }, 'ERR_CERTIFICATE_FILE'],
    [{ certificate: { cert: 'x', key: 'y' } }, 'ERR_CERTIFICATE_FILE'],
    [{ keyLogFile: '/nowhere/at/all' }, 'ERR_USAGE'],
  ];
  for (const [changed, code] of cases) {
    const options = { remote, tls: { ...clientTls, ...changed }, clock: systemClock };
    for (const way of [engine, undefined]) {
      await assert.rejects(dialH2(way, options, {}, AbortSignal.timeout(60_000)), { code }, code);
    }
  }
  assert.equal(served.connections.length, 0);
});

test('nobody listens, nobody answers, and the dial is given up', limit, async (t) => {
  const closed = net.createServer();
  const nobody = await listening(t, closed);
  await new Promise((resolve) => closed.close(resolve));
  await assert.rejects(dial(nobody), { code: 'ERR_PROXY_UNREACHABLE' });
  const silent = await listening(
    t,
    net.createServer((socket) => socket.on('error', () => undefined)),
  );
  await assert.rejects(dial(silent, {}, AbortSignal.timeout(50)), { code: 'ERR_ABORTED' });
  await assert.rejects(dial(silent, {}, AbortSignal.abort()), { code: 'ERR_ABORTED' });
  await assert.rejects(dial(silent, { handshakeTimeout: 50 }), { code: 'ERR_PROXY_TIMEOUT' });
});

test('what speaks no HTTP/2 is told from what says nothing', limit, async (t) => {
  const served = await serve(t, echo, { tls: { certificates: [certificate], alpn: ['http/1.1'] } });
  await assert.rejects(dial(served.listener.localAddress), { code: 'ERR_TLS' });
  const answers: [string, string][] = [
    ['HTTP/1.1 400 Bad Request\r\n\r\n', 'ERR_PROXY_PROTOCOL'],
    ['', 'ERR_PROXY_UNREACHABLE'],
  ];
  for (const [answer, code] of answers) {
    const address = await listening(
      t,
      tls.createServer(
        { cert: Buffer.from(certificate.cert), key: Buffer.from(certificate.key), ALPNProtocols: ['h2'] },
        (socket) => {
          socket.on('error', () => undefined);
          socket.end(answer);
        },
      ),
    );
    await assert.rejects(dial(address), { code });
  }
  const late = await listening(
    t,
    tls.createServer(
      { cert: Buffer.from(certificate.cert), key: Buffer.from(certificate.key), ALPNProtocols: ['h2'] },
      (socket) => socket.on('error', () => undefined),
    ),
  );
  await assert.rejects(dial(late, { handshakeTimeout: 300 }), { code: 'ERR_PROXY_TIMEOUT' });
});

test('a connection that is reset loses its streams as a reset', limit, async (t) => {
  const accepted = watchAccepted(engine);
  const served = await serve(t, echo, { engine: accepted });
  const connection = await dial(served.listener.localAddress);
  const seen = recorder();
  const stream = connection.open(extendedHead, seen);
  await seen.responded;
  const remote = served.connections[0]?.remoteAddress;
  assert.ok(remote);
  accepted.find(remote)?.reset();
  const outcome = await stream.closed;
  assert.equal(outcome.kind === 'lost' && outcome.reason, 'reset');
  assert.equal((await connection.closed).reason, 'reset');
});
