import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { QuicConfigurationError, QuicConnectError, type QuicConnectFailure } from '../../src/quic/engine.js';
import { createNativeEngine, selfSigned, spkiPin } from '../../src/quic/native/index.js';
import type { ClientTls, ServerTrust } from '../../src/quic/tls.js';
import { clientCa, clientPair } from './client-certificate.js';
import { connectTo, listening, serverPair } from './pair.js';

const engine = createNativeEngine();
after(() => engine.close());
const limit = { timeout: 120_000 };

function tls(trust: ServerTrust, serverName = 'localhost', extra: Partial<ClientTls> = {}): ClientTls {
  return { serverName, alpn: ['test'], trust, ...extra };
}

async function failureOf(connecting: Promise<unknown>): Promise<QuicConnectFailure> {
  try {
    await connecting;
  } catch (error) {
    assert.ok(error instanceof QuicConnectError, String(error));
    return error.failure;
  }
  assert.fail('it connected');
}

describe('TLS of the native engine', () => {
  test('trust by pin, by CA and by nothing', limit, async () => {
    const { listener, next } = await listening(engine);
    for (const trust of [
      { mode: 'pin', pins: [spkiPin(selfSigned(['x'], 1).cert), spkiPin(serverPair.cert)] },
      { mode: 'ca', ca: serverPair.cert },
      { mode: 'ca', ca: Buffer.from(serverPair.cert) },
      { mode: 'insecure' },
    ] satisfies ServerTrust[]) {
      const client = await connectTo(engine, listener, { tls: tls(trust) });
      assert.equal(client.connection.alpn, 'test');
      const server = await next();
      assert.equal(server.connection.serverName, 'localhost');
      assert.deepEqual(server.connection.peerCertificates, []);
      const [leaf] = client.connection.peerCertificates;
      assert.ok(leaf);
      assert.equal(
        new X509Certificate(leaf).fingerprint256,
        new X509Certificate(serverPair.cert).fingerprint256,
      );
      client.connection.close(0, '');
    }
  });

  test('a refused certificate names the problem and the pin that was seen', limit, async () => {
    const { listener } = await listening(engine);
    const pin = spkiPin(serverPair.cert);
    const other = selfSigned(['localhost'], 1);
    const cases: [ClientTls, string][] = [
      [tls({ mode: 'pin', pins: [spkiPin(other.cert)] }), 'pin-mismatch'],
      [tls({ mode: 'ca', ca: other.cert }), 'unknown-issuer'],
      [tls({ mode: 'ca', ca: serverPair.cert }, 'example.com'), 'name-mismatch'],
      [tls({ mode: 'system' }), 'unknown-issuer'],
    ];
    for (const [options, problem] of cases) {
      const failure = await failureOf(connectTo(engine, listener, { tls: options }));
      assert.equal(failure.kind, 'certificate', JSON.stringify(failure));
      if (failure.kind !== 'certificate') continue;
      assert.equal(failure.problem, problem);
      assert.equal(failure.pin, pin);
    }
  });

  test(
    'the certificate is chosen by server name, and replaced without dropping connections',
    limit,
    async () => {
      const first = selfSigned(['one.test'], 10);
      const second = selfSigned(['two.test', '*.wild.test'], 10);
      const { listener, next } = await listening(engine, {
        tls: { certificates: [first, second], alpn: ['test'] },
      });
      const seen = async (serverName: string): Promise<string> => {
        const client = await connectTo(engine, listener, { tls: tls({ mode: 'insecure' }, serverName) });
        const pin = spkiPin(client.connection.peerCertificates[0] ?? '');
        client.connection.close(0, '');
        return pin;
      };
      assert.equal(await seen('one.test'), spkiPin(first.cert));
      assert.equal(await seen('two.test'), spkiPin(second.cert));
      assert.equal(await seen('a.wild.test'), spkiPin(second.cert));
      assert.equal(await seen('other.test'), spkiPin(first.cert), 'the first is the default');

      const running = await connectTo(engine, listener, { tls: tls({ mode: 'insecure' }, 'one.test') });
      const third = selfSigned(['one.test'], 10);
      listener.setCertificates([third]);
      assert.equal(await seen('one.test'), spkiPin(third.cert));
      assert.throws(() => listener.setCertificates([{ cert: 'no', key: 'no' }]), QuicConfigurationError);
      assert.equal(await seen('one.test'), spkiPin(third.cert), 'a bad replacement changes nothing');
      assert.equal(running.log.events.includes('closed'), false);
      assert.equal(running.connection.sendDatagram(new Uint8Array(1), new Uint8Array(0), 0, 0), 'sent');
      for (let count = 0; count < 4; count++) await next();
      await next();
    },
  );

  test('client certificates: optional, required, and of a stranger', limit, async () => {
    const stranger = selfSigned(['client'], 10);
    const insecure: ServerTrust = { mode: 'insecure' };
    const listen = (mode: 'optional' | 'required') =>
      listening(engine, {
        tls: { certificates: [serverPair], alpn: ['test'], clientCertificates: { mode, ca: clientCa } },
      });
    const optional = await listen('optional');
    await connectTo(engine, optional.listener, { tls: tls(insecure) });
    assert.deepEqual((await optional.next()).connection.peerCertificates, []);
    await connectTo(engine, optional.listener, {
      tls: tls(insecure, 'localhost', { certificate: clientPair }),
    });
    const [chain] = (await optional.next()).connection.peerCertificates;
    assert.equal(spkiPin(chain ?? ''), spkiPin(clientPair.cert));

    const required = await listen('required');
    await connectTo(engine, required.listener, {
      tls: tls(insecure, 'localhost', { certificate: clientPair }),
    });
    await required.next();
    for (const extra of [{}, { certificate: stranger }]) {
      // TLS 1.3: the client is up before the server has looked at its certificate.
      const client = await connectTo(engine, required.listener, { tls: tls(insecure, 'localhost', extra) });
      const reason = await client.closed;
      assert.equal(reason.kind, 'transport');
      assert.ok(reason.kind === 'transport' && reason.code >= 0x100 && reason.code <= 0x1ff && reason.byPeer);
    }
    assert.equal(required.accepted.length, 1);
  });

  test('no protocol in common is TLS alert 120', limit, async () => {
    const { listener } = await listening(engine);
    const failure = await failureOf(
      connectTo(engine, listener, { tls: tls({ mode: 'insecure' }, 'localhost', { alpn: ['other'] }) }),
    );
    assert.equal(failure.kind, 'tls');
    assert.equal(failure.kind === 'tls' && failure.alert, 120);
  });

  test('options that cannot be used are errors at once', limit, async () => {
    const { listener } = await listening(engine);
    const broken: ClientTls[] = [
      tls({ mode: 'pin', pins: ['sha256-no'] }),
      tls({ mode: 'pin', pins: [] }),
      tls({ mode: 'ca', ca: 'nothing' }),
      tls({ mode: 'insecure' }, 'not a name'),
    ];
    for (const options of broken) {
      await assert.rejects(connectTo(engine, listener, { tls: options }), QuicConfigurationError);
    }
    await assert.rejects(
      listening(engine, {
        tls: { certificates: [{ cert: serverPair.cert, key: selfSigned(['x'], 1).key }], alpn: [] },
      }),
      QuicConfigurationError,
    );
    await assert.rejects(listening(engine, { tls: { certificates: [], alpn: [] } }), QuicConfigurationError);
  });

  test('secrets are written to the key log only when a file is named', limit, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'bauta-keys-'));
    const file = join(folder, 'keys');
    const { listener } = await listening(engine);
    await connectTo(engine, listener, { tls: tls({ mode: 'insecure' }, 'localhost', { keyLogFile: file }) });
    assert.match(
      readFileSync(file, 'utf8'),
      /^CLIENT_HANDSHAKE_TRAFFIC_SECRET [0-9a-f]{64} [0-9a-f]{64,96}$/m,
    );
    rmSync(folder, { recursive: true });
  });

  test('a self-signed certificate names what it serves and is no CA', () => {
    const certificate = new X509Certificate(selfSigned(['localhost', '127.0.0.1', '::1'], 30).cert);
    assert.equal(certificate.ca, false);
    assert.equal(certificate.checkHost('localhost'), 'localhost');
    assert.equal(certificate.checkIP('127.0.0.1'), '127.0.0.1');
    assert.throws(() => selfSigned([], 30));
    assert.throws(() => spkiPin('no certificate'));
  });
});
