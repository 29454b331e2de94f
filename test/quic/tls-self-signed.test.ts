import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { systemClock } from '../../src/clock/system-clock.js';
import { connectTls } from '../../src/http/tls/connect.js';
import { createNativeEngine, selfSigned } from '../../src/quic/native/index.js';
import { connectTo, listening } from './pair.js';

const engine = createNativeEngine();
after(() => engine.close());
const run = promisify(execFile);
const never = new AbortController().signal;
const names = ['localhost', '127.0.0.1', '::1'];

test('one file of a self-signed certificate is taken by the engine, Node, curl and openssl', {
  timeout: 120_000,
}, async (t) => {
  const pair = selfSigned(names, 30);
  const folder = mkdtempSync(join(tmpdir(), 'bauta-own-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'certificate.pem');
  writeFileSync(file, pair.cert);
  const server = https.createServer({ cert: pair.cert, key: pair.key }, (_request, response) => {
    response.end('served');
  });
  server.listen(0, '::');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const trust = { mode: 'ca', ca: pair.cert } as const;
  const { listener } = await listening(engine, { tls: { certificates: [pair], alpn: ['test'] } });

  for (const serverName of names) {
    await connectTo(engine, listener, { tls: { serverName, alpn: ['test'], trust } });

    const address = serverName === '::1' ? '::1' : '127.0.0.1';
    const { raw } = await connectTls(
      {
        remote: { address, port },
        tls: { serverName, alpn: ['http/1.1'], trust },
        handshakeTimeout: 5_000,
        clock: systemClock,
      },
      never,
    );
    raw.destroy();

    const host = serverName === '::1' ? '[::1]' : serverName;
    const { stdout } = await run('curl', [
      '-sS',
      '--noproxy',
      '*',
      '--cacert',
      file,
      `https://${host}:${port}/`,
    ]);
    assert.equal(stdout, 'served');
  }

  for (const flags of [['-x509_strict'], ['-purpose', 'sslserver']]) {
    const { stdout } = await run('openssl', ['verify', ...flags, '-CAfile', file, file]);
    assert.match(stdout, /OK/);
  }
});
