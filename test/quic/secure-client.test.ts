import assert from 'node:assert/strict';
import { randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import { QuicConfigurationError } from '../../src/quic/engine.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import {
  SecureConnectError,
  type SecureConnectFailure,
  type SecureSocket,
} from '../../src/quic/secure-socket.js';
import type { ClientTls } from '../../src/quic/tls.js';
import { makeCertificate } from '../http/tls/certificates.js';
import { caOf, pinOf, trustCases } from '../http/tls/trust-cases.js';
import { never, serverPair, until } from './pair.js';
import { nodeServer, SecurePeer, secureServer } from './secure-peers.js';
import { plenty, TcpPeer } from './tcp-world.js';

const limit = { timeout: 120_000 };

async function failureOf(connecting: Promise<unknown>): Promise<SecureConnectFailure> {
  try {
    await connecting;
  } catch (error) {
    assert.ok(error instanceof SecureConnectError, String(error));
    return error.failure;
  }
  assert.fail('it connected');
}

const trusting: ClientTls = {
  serverName: 'localhost',
  alpn: ['h2', 'http/1.1'],
  trust: { mode: 'ca', ca: serverPair.cert },
};

describe('a secure client of the engine', () => {
  const engine = createNativeEngine();
  after(() => engine.close());
  const { tcp } = engine;
  const connect = (
    port: number,
    tls: Partial<ClientTls> = {},
    handler: TcpPeer = new TcpPeer(plenty),
    handshakeTimeout = 30_000,
  ): Promise<SecureSocket> =>
    tcp.connectSecure(
      { remote: { address: '127.0.0.1', port }, tls: { ...trusting, ...tls }, handshakeTimeout },
      handler,
      never,
    );

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`${version} of Node: bytes both ways and ends`, limit, async () => {
      await using server = await nodeServer({ minVersion: version, maxVersion: version });
      const peer = new TcpPeer(plenty);
      const socket = await connect(server.port, {}, peer);
      peer.attach(socket);
      assert.equal(socket.alpn, 'h2');
      assert.equal(socket.serverName, 'localhost');
      const [leaf] = socket.peerCertificates;
      assert.ok(leaf);
      assert.deepEqual(Buffer.from(leaf), new X509Certificate(serverPair.cert).raw);
      const far = await server.next();
      assert.equal(far.getProtocol(), version);
      const large = randomBytes(2_000_000);
      const got: Buffer[] = [];
      far.on('data', (chunk: Buffer) => got.push(chunk));
      far.write(large);
      socket.write(large, 0, large.length);
      socket.end();
      await once(far, 'end');
      far.end();
      await until(() => peer.over !== undefined);
      assert.deepEqual(peer.over, { kind: 'ended' });
      assert.ok(Buffer.concat(got).equals(large));
      assert.ok(Buffer.concat(peer.chunks).equals(large));
    });

    test(`${version} of Node: a truncated end, and a reset`, limit, async () => {
      await using server = await nodeServer({ minVersion: version, maxVersion: version });
      const connecting = connect(server.port);
      const first = new SecurePeer(await connecting, plenty);
      const raw = [...server.raws][0];
      const handler = new TcpPeer(plenty);
      const second = await connect(server.port, {}, handler);
      handler.attach(second);
      for (const one of server.raws) if (one !== raw) one.end();
      await until(() => handler.events.includes('end'));
      assert.equal(handler.truncated, true);
      second.reset();
      const third = new TcpPeer(0);
      await connect(server.port, {}, third);
      const last = [...server.raws].at(-1);
      last?.resetAndDestroy();
      await until(() => third.over !== undefined);
      assert.deepEqual(third.over, { kind: 'reset', by: 'peer', errno: 'ECONNRESET' });
      first.secure.reset();
    });

    test(`${version} of Node: a client certificate`, limit, async () => {
      const ca = makeCertificate({ names: [], ca: true, commonName: 'users' });
      const issued = makeCertificate({ names: ['user'], issuer: ca, purpose: 'client' });
      await using server = await nodeServer({
        minVersion: version,
        maxVersion: version,
        requestCert: true,
        rejectUnauthorized: true,
        ca: ca.cert,
      });
      const socket = await connect(server.port, { certificate: issued });
      const far = await server.next();
      assert.deepEqual(far.getPeerX509Certificate()?.raw, issued.der);
      socket.reset();
    });
  }

  test(
    'a refused client: an alert in the handshake of TLS 1.2, a reset after that of TLS 1.3',
    limit,
    async () => {
      const ca = makeCertificate({ names: [], ca: true, commonName: 'users' });
      const clientCertificates = { mode: 'required', ca: ca.cert } as const;
      const { listener, port, peers } = await secureServer(tcp, { tls: { clientCertificates } });
      const handler = new TcpPeer(plenty);
      handler.attach(await connect(port, {}, handler));
      await until(() => handler.over !== undefined);
      assert.deepEqual(handler.over, { kind: 'reset', by: 'peer', errno: 'EPROTO' });
      listener.close();
      await using server = await nodeServer({
        maxVersion: 'TLSv1.2',
        requestCert: true,
        rejectUnauthorized: true,
        ca: ca.cert,
      });
      const failure = await failureOf(connect(server.port));
      assert.equal(failure.kind, 'tls', JSON.stringify(failure));
      assert.equal(peers.length, 0);
    },
  );

  test('trust: the same verdicts as QUIC', limit, async () => {
    for (const { title, certificate, trust, serverName, problem } of trustCases()) {
      const { listener, port } = await secureServer(tcp, { tls: { certificates: [certificate] } });
      const connecting = connect(port, { serverName, trust });
      if (problem === undefined) (await connecting).reset();
      else {
        const failure = await failureOf(connecting);
        assert.equal(failure.kind, 'certificate', `${title}: ${JSON.stringify(failure)}`);
        if (failure.kind !== 'certificate') continue;
        assert.equal(failure.problem, problem, title);
        assert.equal(failure.pin, pinOf(certificate), title);
        assert.notEqual(failure.reason, '');
      }
      listener.close();
    }
  });

  test('TLS 1.2 of Node: trust', limit, async () => {
    const late = makeCertificate({ names: ['localhost'], from: -9, to: -2 });
    const rsa = makeCertificate({ names: ['localhost'], key: 'rsa' });
    for (const [certificate, trust, expected] of [
      [late, caOf(late), 'expired'],
      [rsa, caOf(late), 'unknown-issuer'],
      [rsa, caOf(rsa), undefined],
      [late, { mode: 'pin', pins: [pinOf(late)] }, undefined],
      [rsa, { mode: 'pin', pins: [pinOf(late)] }, 'pin-mismatch'],
      [late, { mode: 'insecure' }, undefined],
    ] as const) {
      await using server = await nodeServer({
        maxVersion: 'TLSv1.2',
        cert: certificate.cert,
        key: certificate.key,
      });
      const connecting = connect(server.port, { trust });
      if (expected === undefined) (await connecting).reset();
      else {
        const failure = await failureOf(connecting);
        assert.equal(failure.kind === 'certificate' && failure.problem, expected);
        await until(() => server.errors.length > 0);
        assert.match(server.errors[0]?.code ?? '', /^ERR_SSL_.*ALERT/);
      }
    }
  });

  test('no protocol in common is alert 120; a server without ALPN is fine', limit, async () => {
    const { listener, port } = await secureServer(tcp);
    assert.deepEqual(
      await failureOf(connect(port, { alpn: ['h9'] })).then(
        (failure) => failure.kind === 'tls' && failure.alert,
      ),
      120,
    );
    const none = await connect(port, { alpn: [] });
    assert.equal(none.alpn, undefined);
    none.reset();
    listener.close();
    const bare = await secureServer(tcp, { tls: { alpn: [] } });
    const socket = await connect(bare.port);
    assert.equal(socket.alpn, undefined);
    socket.reset();
    bare.listener.close();
  });

  test('a server that is silent, closes, resets, talks nonsense, or is not there', limit, async () => {
    const raws = new Set<Socket>();
    let what: (raw: Socket) => void = () => undefined;
    const server = createServer((raw) => {
      raws.add(raw);
      raw.on('error', () => undefined);
      raw.once('data', () => what(raw));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    assert.deepEqual(await failureOf(connect(port, {}, new TcpPeer(), 200)), { kind: 'timeout' });
    what = (raw) => raw.end();
    const closed = await failureOf(connect(port));
    assert.equal(closed.kind, 'tls');
    what = (raw) => raw.resetAndDestroy();
    assert.deepEqual(await failureOf(connect(port)), { kind: 'unreachable', errno: 'ECONNRESET' });
    what = (raw) => raw.write('HTTP/1.1 400 Bad Request\r\n\r\n');
    const nonsense = await failureOf(connect(port));
    assert.equal(nonsense.kind, 'tls');
    const aborting = new AbortController();
    what = () => aborting.abort();
    const handler = new TcpPeer(plenty);
    const attempt = tcp.connectSecure(
      { remote: { address: '127.0.0.1', port }, tls: trusting },
      handler,
      aborting.signal,
    );
    assert.deepEqual(await failureOf(attempt), { kind: 'aborted' });
    const last = [...raws].at(-1);
    assert.ok(last);
    await until(() => last.destroyed);
    assert.deepEqual(handler.events, []);
    for (const raw of raws) raw.destroy();
    server.close();
    await once(server, 'close');
    assert.deepEqual(await failureOf(connect(port)), { kind: 'unreachable', errno: 'ECONNREFUSED' });
  });

  test('what cannot be used is refused', limit, async () => {
    const refused = (error: unknown): boolean => error instanceof QuicConfigurationError;
    await assert.rejects(connect(1, { serverName: 'not a name' }), refused);
    await assert.rejects(connect(1, { trust: { mode: 'pin', pins: [] } }), refused);
    await assert.rejects(connect(1, { trust: { mode: 'ca', ca: 'nothing' } }), refused);
    await assert.rejects(connect(1, { alpn: [''] }), refused);
  });
});
