import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { QuicConfigurationError } from '../../src/quic/engine.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { makeCertificate, type TestCertificate } from '../http/tls/certificates.js';
import { delay, until } from './pair.js';
import { secureServer, visit } from './secure-peers.js';

const limit = { timeout: 120_000 };
const versions = ['TLSv1.2', 'TLSv1.3'] as const;

describe('a secure listener of the engine, with clients of Node', () => {
  const engine = createNativeEngine();
  after(() => engine.close());
  const { tcp } = engine;

  for (const version of versions) {
    const only = { minVersion: version, maxVersion: version } satisfies ConnectionOptions;

    test(`${version}: bytes both ways, half closed by either side first`, limit, async () => {
      const { listener, port, next } = await secureServer(tcp);
      for (const first of ['client', 'server'] as const) {
        const { socket, chunks, ended, closed } = visit(port, { ...only, ALPNProtocols: ['h2'] });
        const peer = await next();
        assert.equal(socket.getProtocol(), version);
        assert.equal(peer.secure.alpn, 'h2');
        assert.equal(peer.secure.serverName, 'localhost');
        assert.deepEqual(peer.secure.peerCertificates, []);
        assert.equal(peer.secure.remoteAddress.port, socket.localPort);
        const large = randomBytes(3_000_000);
        if (first === 'client') {
          socket.end(large);
          await until(() => peer.events.includes('end'));
          peer.secure.write(large, 0, large.length);
          peer.secure.end();
          await ended;
        } else {
          peer.secure.write(large, 0, large.length);
          peer.secure.end();
          await ended;
          socket.end(large);
        }
        await until(() => peer.over !== undefined);
        assert.deepEqual(peer.over, { kind: 'ended' });
        assert.equal(peer.truncated, false);
        const sum = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
        assert.equal(sum(Buffer.concat(chunks)), sum(large));
        assert.equal(sum(Buffer.concat(peer.chunks)), sum(large));
        assert.deepEqual(peer.secure.statistics(), { bytesSent: large.length, bytesReceived: large.length });
        await closed;
      }
      listener.close();
    });

    test(`${version}: FIN without close_notify is an end that says so`, limit, async () => {
      const { listener, port, next } = await secureServer(tcp);
      for (const credit of [true, false]) {
        const { socket, raw } = visit(port, only);
        const peer = await next();
        if (credit) {
          socket.write('half a word');
          await until(() => peer.text() === 'half a word');
        }
        raw.end();
        await until(() => peer.events.includes('end'));
        assert.equal(peer.truncated, true);
        peer.secure.end();
        await until(() => peer.over !== undefined);
        assert.deepEqual(peer.over, { kind: 'ended' });
        socket.destroy();
        raw.destroy();
      }
      listener.close();
    });

    test(`${version}: RST in mid-stream is a reset, told at once without credit too`, limit, async () => {
      for (const credit of [1 << 20, 0]) {
        const { listener, port, next } = await secureServer(tcp, { credit });
        const { socket, raw } = visit(port, only);
        const peer = await next();
        socket.write(Buffer.alloc(300_000));
        if (credit > 0) await until(() => peer.received > 0);
        raw.resetAndDestroy();
        await until(() => peer.over !== undefined);
        assert.deepEqual(peer.over, { kind: 'reset', by: 'peer', errno: 'ECONNRESET' });
        assert.ok(!peer.events.includes('end'));
        listener.close();
      }
    });

    test(
      `${version}: what is no TLS in mid-stream is a reset, with an alert to the peer`,
      limit,
      async () => {
        const { listener, port, next } = await secureServer(tcp);
        const { socket, raw, errors } = visit(port, only);
        const peer = await next();
        socket.write('well');
        await until(() => peer.text() === 'well');
        raw.write(Buffer.concat([Buffer.from([0x17, 0x03, 0x03, 0x00, 0x20]), Buffer.alloc(32, 7)]));
        await until(() => peer.over !== undefined);
        assert.deepEqual(peer.over, { kind: 'reset', by: 'peer', errno: 'EPROTO' });
        assert.equal(peer.text(), 'well');
        await until(() => errors.length > 0);
        assert.match(errors.map(({ message }) => message).join(), /bad record mac|ECONNRESET/);
        socket.destroy();
        raw.destroy();
        listener.close();
      },
    );
  }

  test('ALPN: the best protocol in common, none asked for, none in common; no TLS 1.1', limit, async () => {
    const { listener, port, next } = await secureServer(tcp);
    for (const [asked, expected] of [
      [['http/1.1', 'h2'], 'h2'],
      [['http/1.1'], 'http/1.1'],
      [[], undefined],
    ] as const) {
      const { socket, up } = visit(port, { ALPNProtocols: [...asked] });
      assert.equal(await up, true);
      const peer = await next();
      assert.equal(peer.secure.alpn, expected);
      assert.equal(socket.alpnProtocol || undefined, expected);
      socket.destroy();
    }
    for (const version of versions) {
      const strange = visit(port, { ALPNProtocols: ['h9'], maxVersion: version });
      assert.equal(await strange.up, false);
      await until(() => strange.errors.length > 0);
      strange.raw.destroy();
      assert.equal(strange.errors[0]?.code, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
    }
    const old = visit(port, {
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    assert.equal(await old.up, false);
    old.raw.destroy();
    listener.close();
  });

  test('the certificate is chosen by name, and replaced while connections run', limit, async () => {
    const first = makeCertificate({ names: ['first.example'] });
    const wild = makeCertificate({ names: ['*.b.example'] });
    const exact = makeCertificate({ names: ['Exact.b.example', 'first.example'], key: 'rsa' });
    const { listener, port, next } = await secureServer(tcp, { tls: { certificates: [first, wild, exact] } });
    const shown = async (servername: string, maxVersion: (typeof versions)[number]) => {
      const { socket, up } = visit(port, { servername, maxVersion });
      assert.equal(await up, true);
      const { secure } = await next();
      assert.equal(secure.serverName, servername === '' ? undefined : servername);
      const { raw } = socket.getPeerX509Certificate() ?? {};
      socket.destroy();
      return raw;
    };
    const cases: [string, TestCertificate][] = [
      ['', first],
      ['first.example', first],
      ['unknown.example', first],
      ['x.b.example', wild],
      ['exact.b.example', exact],
      ['b.example', first],
      ['a.x.b.example', first],
    ];
    for (const version of versions) {
      for (const [name, expected] of cases) assert.deepEqual(await shown(name, version), expected.der, name);
    }
    const running = visit(port);
    const peer = await next();
    const bad = { cert: wild.cert, key: first.key };
    assert.throws(() => listener.setCertificates([bad]), QuicConfigurationError);
    assert.throws(() => listener.setCertificates([]), QuicConfigurationError);
    assert.deepEqual(await shown('', 'TLSv1.3'), first.der);
    const later = makeCertificate({ names: ['first.example'] });
    listener.setCertificates([later]);
    assert.deepEqual(await shown('', 'TLSv1.3'), later.der);
    assert.deepEqual(await shown('exact.b.example', 'TLSv1.2'), later.der);
    peer.send('still here');
    await until(() => Buffer.concat(running.chunks).toString() === 'still here');
    running.socket.destroy();
    listener.close();
  });

  test('client certificates: off, optional and required', limit, async () => {
    const ca = makeCertificate({ names: [], ca: true, commonName: 'users' });
    const issued = makeCertificate({ names: ['user'], issuer: ca, purpose: 'client' });
    const late = makeCertificate({ names: ['user'], issuer: ca, from: -9, to: -2 });
    const own = makeCertificate({ names: ['user'], ca: true });
    const stranger = makeCertificate({ names: ['user'] });
    const serverOnly = makeCertificate({ names: ['user'], issuer: ca, purpose: 'server' });
    const cases: ['off' | 'optional' | 'required', TestCertificate | undefined, boolean, string][] = [
      ['off', issued, true, 'not asked'],
      ['optional', undefined, true, 'none'],
      ['optional', issued, true, 'issued'],
      ['optional', own, true, 'its own anchor'],
      ['optional', stranger, false, 'stranger'],
      ['optional', late, false, 'expired'],
      ['optional', serverOnly, false, 'of a server'],
      ['required', undefined, false, 'none'],
      ['required', issued, true, 'issued'],
      ['required', own, true, 'its own anchor'],
      ['required', stranger, false, 'stranger'],
      ['required', late, false, 'expired'],
    ];
    for (const mode of ['off', 'optional', 'required'] as const) {
      const clientCertificates = mode === 'off' ? undefined : { mode, ca: ca.cert + own.cert };
      const { listener, port, peers } = await secureServer(tcp, {
        tls: clientCertificates ? { clientCertificates } : {},
      });
      for (const maxVersion of versions) {
        for (const [, client, accepted, title] of cases.filter(([of]) => of === mode)) {
          const which = `${mode}, ${title}, ${maxVersion}`;
          const told = peers.length;
          const { raw, socket, errors } = visit(port, {
            maxVersion,
            ...(client && { cert: client.cert, key: client.key }),
          });
          if (accepted) {
            await until(() => peers.length > told);
            const seen = peers[told]?.secure.peerCertificates[0];
            assert.deepEqual(seen && Buffer.from(seen), mode === 'off' ? undefined : client?.der, which);
          } else {
            await until(() => errors.length > 0);
            assert.equal(peers.length, told, which);
            // Which alert it is says what is wrong (RFC 8446 section 6.2).
            assert.match(errors[0]?.code ?? '', /^ERR_SSL_.*(ALERT|HANDSHAKE)/, which);
          }
          socket.destroy();
          raw.destroy();
        }
      }
      listener.close();
    }
  });

  test('the secrets that the client has are logged', limit, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'bauta-keys-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const keyLogFile = join(folder, 'keys.log');
    const { listener, port, next } = await secureServer(tcp, { tls: { keyLogFile } });
    for (const maxVersion of versions) {
      const lines: string[] = [];
      const { socket } = visit(port, { maxVersion });
      socket.on('keylog', (line: Buffer) => lines.push(line.toString().trim()));
      await next();
      await until(() => lines.length >= (maxVersion === 'TLSv1.2' ? 1 : 4));
      const logged = readFileSync(keyLogFile, 'utf8').split('\n');
      const wanted = /^(CLIENT_RANDOM|CLIENT_TRAFFIC_SECRET_0|SERVER_TRAFFIC_SECRET_0) /;
      const secrets = lines.filter((line) => wanted.test(line));
      assert.ok(secrets.length > 0);
      for (const line of secrets) assert.ok(logged.includes(line), line);
      socket.destroy();
    }
    listener.close();
  });

  test('a client that wants to renegotiate harms nobody but itself', limit, async () => {
    const { listener, port, next } = await secureServer(tcp);
    const { socket, raw } = visit(port, { maxVersion: 'TLSv1.2' });
    const peer = await next();
    socket.renegotiate({}, () => undefined);
    await Promise.race([once(raw, 'close'), delay(200)]);
    const other = visit(port);
    (await next()).send('well');
    await until(() => Buffer.concat(other.chunks).toString() === 'well');
    socket.destroy();
    raw.destroy();
    await until(() => peer.over !== undefined);
    other.socket.destroy();
    listener.close();
  });

  test('a listener for both families takes IPv4 as such', limit, async () => {
    const { listener, port, next } = await secureServer(tcp, {
      local: { address: '::', port: 0 },
      dualStack: true,
    });
    for (const host of ['127.0.0.1', '::1']) {
      const { socket } = visit(port, {}, host);
      const { secure } = await next();
      assert.equal(secure.remoteAddress.address, host);
      assert.equal(secure.localAddress.address, host);
      socket.destroy();
    }
    listener.close();
    const single = await secureServer(tcp, { local: { address: '::', port: 0 } });
    const { errors } = visit(single.port);
    await until(() => errors.length > 0);
    assert.equal(errors[0]?.code, 'ECONNREFUSED');
    single.listener.close();
  });

  test('what cannot be used is refused', limit, async () => {
    const other = makeCertificate({ names: ['a.example'] });
    const good = makeCertificate({ names: ['a.example'] });
    const refused = (error: unknown): boolean => error instanceof QuicConfigurationError;
    await assert.rejects(secureServer(tcp, { tls: { certificates: [] } }), refused);
    await assert.rejects(
      secureServer(tcp, { tls: { certificates: [{ cert: good.cert, key: other.key }] } }),
      refused,
    );
    await assert.rejects(secureServer(tcp, { tls: { keyLogFile: '/nowhere/at/all' } }), refused);
    await assert.rejects(secureServer(tcp, { local: { address: 'localhost', port: 0 } }), refused);
  });
});
