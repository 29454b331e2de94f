import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { QuicConfigurationError, QuicConnectError } from '../../src/quic/engine.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { pinOf, trustCases } from '../http/tls/trust-cases.js';
import { connectTo, listening } from './pair.js';

const engine = createNativeEngine();
after(() => engine.close());

test('the engine gives the verdicts that TLS over TCP gives', { timeout: 120_000 }, async () => {
  for (const { title, certificate, trust, serverName, problem } of trustCases()) {
    const { listener } = await listening(engine, { tls: { certificates: [certificate], alpn: ['test'] } });
    const tls = { serverName, alpn: ['test'], trust };
    const seen = await connectTo(engine, listener, { tls }).then(
      () => undefined,
      (error: unknown) => {
        assert.ok(error instanceof QuicConnectError, `${title}: ${String(error)}`);
        return error.failure;
      },
    );
    if (problem === undefined) assert.equal(seen, undefined, `${title}: ${JSON.stringify(seen)}`);
    else {
      assert.ok(seen?.kind === 'certificate', `${title}: ${JSON.stringify(seen)}`);
      assert.equal(seen.problem, problem, `${title}: ${seen.reason}`);
      assert.equal(seen.pin, pinOf(certificate), title);
      assert.notEqual(seen.reason, '', title);
    }
  }
});

test('a machine without trusted roots is told what it lacks', { timeout: 120_000 }, async (t) => {
  const before = { SSL_CERT_FILE: process.env['SSL_CERT_FILE'], SSL_CERT_DIR: process.env['SSL_CERT_DIR'] };
  t.after(() => {
    for (const [key, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[key];
      else process.env[key] = value;
    }
  });
  process.env['SSL_CERT_FILE'] = '/nonexistent';
  delete process.env['SSL_CERT_DIR'];
  const { listener } = await listening(engine);
  const tls = { serverName: 'localhost', alpn: ['test'], trust: { mode: 'system' } } as const;
  await assert.rejects(connectTo(engine, listener, { tls }), (error) => {
    assert.ok(error instanceof QuicConfigurationError);
    assert.match(error.message, /no trusted root certificates.*CA certificates package/);
    return true;
  });
});
