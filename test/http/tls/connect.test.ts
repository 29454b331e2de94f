import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import tls from 'node:tls';
import { systemClock } from '../../../src/clock/system-clock.js';
import { createVirtualClock } from '../../../src/clock/virtual-clock.js';
import { certificateError } from '../../../src/http/tls/certificate-failure.js';
import { createClientContext } from '../../../src/http/tls/client-context.js';
import { connectTls, type TlsConnection, type TlsConnectOptions } from '../../../src/http/tls/connect.js';
import { BautaError } from '../../../src/protocol/bauta-error.js';
import type { ErrorCode } from '../../../src/protocol/failures.js';
import type { ServerTrust } from '../../../src/quic/tls.js';
import { makeCertificate } from './certificates.js';
import { caOf, pinOf, trustCases } from './trust-cases.js';

const name = 'proxy.example';
const limit = { timeout: 120_000 };

interface TestServer extends AsyncDisposable {
  readonly port: number;
  readonly server: tls.Server;
  /** Application bytes that any client has sent. */
  received(): number;
}

async function serve(options: tls.TlsOptions): Promise<TestServer> {
  let received = 0;
  const sockets = new Set<Socket>();
  const server = tls.createServer({ ALPNProtocols: ['h2', 'http/1.1'], ...options }, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      received += data.length;
      socket.write(data);
    });
  });
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    server,
    port: (server.address() as AddressInfo).port,
    received: () => received,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function to(
  port: number,
  trust: ServerTrust,
  more: Partial<TlsConnectOptions['tls']> = {},
): TlsConnectOptions {
  return {
    remote: { address: '127.0.0.1', port },
    tls: { serverName: name, alpn: ['h2', 'http/1.1'], trust, ...more },
    handshakeTimeout: 5_000,
    clock: systemClock,
  };
}

const never = new AbortController().signal;

async function refused(options: TlsConnectOptions, code: ErrorCode, signal = never): Promise<BautaError> {
  try {
    const { raw } = await connectTls(options, signal);
    raw.destroy();
  } catch (error) {
    assert.ok(error instanceof BautaError, String(error));
    assert.equal(error.code, code, `${error.message} ${String(error.cause)}`);
    return error;
  }
  return assert.fail(`connected, although ${code} was expected`);
}

async function end({ socket, raw }: TlsConnection): Promise<void> {
  socket.destroy();
  await closeOf(raw);
}

function closeOf(socket: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}

test('a trusted server is connected to, with the protocol agreed on and bytes both ways', limit, async () => {
  const certificate = makeCertificate({ names: [name, '127.0.0.1'] });
  await using server = await serve(certificate);
  for (const serverName of [name, '127.0.0.1']) {
    const connection = await connectTls(to(server.port, caOf(certificate), { serverName }), never);
    assert.equal(connection.alpn, 'h2');
    connection.socket.write('hello');
    const [data] = (await once(connection.socket, 'data')) as [Buffer];
    assert.equal(data.toString(), 'hello');
    await end(connection);
  }
});

test('each kind of trust judges each kind of certificate as it should', limit, async () => {
  for (const { title, certificate, trust, serverName, problem } of trustCases()) {
    await using server = await serve({ cert: certificate.cert, key: certificate.key });
    const options = to(server.port, trust, { serverName });
    if (problem === undefined) {
      const connection = await connectTls(options, never).catch((error) =>
        assert.fail(`${title}: ${error.message}`),
      );
      await end(connection);
      continue;
    }
    const { code } = certificateError({ problem, pin: '', reason: '' });
    const error = await refused(options, code).catch((failure) =>
      assert.fail(`${title}: ${failure.message}`),
    );
    if (code === 'ERR_CERTIFICATE_UNKNOWN' || code === 'ERR_PIN_MISMATCH') {
      assert.ok(error.message.includes(pinOf(certificate)), `${title}: ${error.message}`);
    }
    if (code === 'ERR_CERTIFICATE_UNKNOWN') {
      assert.ok(error.hint?.includes(`#pin=${pinOf(certificate)}`), title);
    }
  }
});

test('a refused server gets no byte of the application', limit, async () => {
  const certificate = makeCertificate({ names: [name] });
  await using server = await serve(certificate);
  const connections: Promise<void>[] = [];
  server.server.on('connection', (socket: Socket) => connections.push(closeOf(socket)));
  await refused(to(server.port, caOf(makeCertificate({ names: [name] }))), 'ERR_CERTIFICATE_UNKNOWN');
  await Promise.all(connections);
  assert.equal(connections.length, 1);
  assert.equal(server.received(), 0);
});

test('the raw socket resets a connection, which a TLS socket cannot', limit, async () => {
  const certificate = makeCertificate({ names: [name] });
  await using server = await serve(certificate);
  const accepted = once(server.server, 'secureConnection') as Promise<[tls.TLSSocket]>;
  const { socket, raw } = await connectTls(to(server.port, caOf(certificate)), never);
  const [peer] = await accepted;
  // Right after the handshake Node's own server may take a reset for an end.
  socket.write('settled');
  await once(socket, 'data');
  const error = once(peer, 'error') as Promise<[NodeJS.ErrnoException]>;
  raw.resetAndDestroy();
  assert.equal((await error)[0].code, 'ECONNRESET');
  await closeOf(socket);
});

test('one direction ends while the other goes on', limit, async () => {
  const certificate = makeCertificate({ names: [name] });
  await using server = await serve({ ...certificate, allowHalfOpen: true } as tls.TlsOptions);
  server.server.removeAllListeners('secureConnection');
  server.server.on('secureConnection', (peer: tls.TLSSocket) => {
    peer.on('end', () => peer.end('after your end')).resume();
  });
  const connection = await connectTls(to(server.port, caOf(certificate)), never);
  connection.socket.end('mine');
  const [data] = (await once(connection.socket, 'data')) as [Buffer];
  assert.equal(data.toString(), 'after your end');
  await end(connection);
});

test('a closed port, a silent server, an abort and a broken handshake are told apart', limit, async (t) => {
  const certificate = makeCertificate({ names: [name] });
  const raw: Server = createServer((socket) => {
    socket.on('error', () => undefined);
    if (answer === 'close') socket.destroy();
    else if (answer === 'words') socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    else accepted(socket);
  });
  let answer: 'nothing' | 'close' | 'words' = 'nothing';
  let accepted: (socket: Socket) => void = () => undefined;
  raw.listen(0, '127.0.0.1');
  await once(raw, 'listening');
  t.after(() => raw.close());
  const { port } = raw.address() as AddressInfo;
  const options = to(port, caOf(certificate));

  const helloOf = (): Promise<Socket> =>
    new Promise((resolve) => {
      accepted = (socket) => socket.once('data', () => resolve(socket));
    });
  let hello = helloOf();
  const clock = createVirtualClock();
  const late = refused({ ...options, clock }, 'ERR_PROXY_TIMEOUT');
  let peer = await hello;
  clock.advance(4_999);
  assert.equal(clock.pending, 1);
  clock.advance(1);
  assert.match((await late).message, /TLS handshake/);
  assert.equal(clock.pending, 0);
  await closeOf(peer);

  hello = helloOf();
  const controller = new AbortController();
  const stopped = refused(options, 'ERR_ABORTED', controller.signal);
  peer = await hello;
  controller.abort(new Error('enough'));
  assert.equal(((await stopped).cause as Error).message, 'enough');
  await closeOf(peer);
  await refused(options, 'ERR_ABORTED', AbortSignal.abort());

  answer = 'close';
  await refused(options, 'ERR_TLS');
  answer = 'words';
  await refused(options, 'ERR_TLS');
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port: nobody } = closed.address() as AddressInfo;
  closed.close();
  await once(closed, 'close');
  const error = await refused(to(nobody, caOf(certificate)), 'ERR_PROXY_UNREACHABLE');
  assert.match(error.message, /ECONNREFUSED/);
});

test('no protocol in common is a TLS failure', limit, async () => {
  const certificate = makeCertificate({ names: [name] });
  await using server = await serve(certificate);
  const error = await refused(to(server.port, caOf(certificate), { alpn: ['h9'] }), 'ERR_TLS');
  assert.match(error.message, /no application protocol/);
});

test('a client certificate is shown to the server', limit, async () => {
  const certificate = makeCertificate({ names: [name] });
  const ca = makeCertificate({ names: [], ca: true, commonName: 'users' });
  const user = makeCertificate({ names: ['user'], issuer: ca, purpose: 'client' });
  await using server = await serve({
    ...certificate,
    requestCert: true,
    ca: ca.cert,
    rejectUnauthorized: true,
  });
  const accepted = once(server.server, 'secureConnection') as Promise<[tls.TLSSocket]>;
  const connection = await connectTls(to(server.port, caOf(certificate), { certificate: user }), never);
  assert.deepEqual((await accepted)[0].getPeerX509Certificate()?.raw, user.der);
  await end(connection);
});

test('secrets go to the key log file, which only its owner can read', limit, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'bauta-keys-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const keyLogFile = join(folder, 'keys.log');
  const certificate = makeCertificate({ names: [name] });
  await using server = await serve(certificate);
  for (const lines of [5, 10]) {
    await end(await connectTls(to(server.port, caOf(certificate), { keyLogFile }), never));
    const text = readFileSync(keyLogFile, 'utf8');
    assert.match(text, /^CLIENT_TRAFFIC_SECRET_0 [0-9a-f]{64} [0-9a-f]+$/m);
    assert.equal(text.trimEnd().split('\n').length, lines);
  }
  assert.equal(statSync(keyLogFile).mode & 0o777, 0o600);
  await refused(to(server.port, caOf(certificate), { keyLogFile: join(folder, 'a', 'b') }), 'ERR_USAGE');
});

test('options that cannot be used are refused before anything is sent', limit, async (t) => {
  const good = makeCertificate({ names: [name] });
  const other = makeCertificate({ names: [name] });
  const of = (
    trust: ServerTrust,
    more: Partial<TlsConnectOptions['tls']>,
    code: ErrorCode,
  ): Promise<BautaError> => refused(to(1, trust, more), code);
  const insecure: ServerTrust = { mode: 'insecure' };
  await of(insecure, { serverName: '' }, 'ERR_LINK');
  await of(insecure, { serverName: 'a b' }, 'ERR_LINK');
  await of({ mode: 'pin', pins: [] }, {}, 'ERR_LINK');
  await of({ mode: 'pin', pins: ['sha256-AAAA'] }, {}, 'ERR_LINK');
  await of({ mode: 'ca', ca: 'nothing' }, {}, 'ERR_CERTIFICATE_FILE');
  await of({ mode: 'ca', ca: Buffer.from(good.key) }, {}, 'ERR_CERTIFICATE_FILE');
  const mixed = await of(
    insecure,
    { certificate: { cert: good.cert, key: other.key } },
    'ERR_CERTIFICATE_FILE',
  );
  assert.match(mixed.message, /does not belong/);
  await of(insecure, { certificate: { cert: '', key: good.key } }, 'ERR_CERTIFICATE_FILE');
  await of(insecure, { certificate: { cert: good.cert, key: '' } }, 'ERR_CERTIFICATE_FILE');

  const before = { file: process.env['SSL_CERT_FILE'], dir: process.env['SSL_CERT_DIR'] };
  t.after(() => {
    for (const [key, value] of [
      ['SSL_CERT_FILE', before.file],
      ['SSL_CERT_DIR', before.dir],
    ] as const) {
      if (value === undefined) delete process.env[key];
      else process.env[key] = value;
    }
  });
  process.env['SSL_CERT_FILE'] = '/nonexistent';
  delete process.env['SSL_CERT_DIR'];
  assert.match(
    (await of({ mode: 'system' }, {}, 'ERR_CERTIFICATE_FILE')).hint ?? '',
    /CA certificates package/,
  );
});

test('a context made once serves many connections', limit, async () => {
  const certificate = makeCertificate({ names: [name] });
  await using server = await serve(certificate);
  const options = to(server.port, caOf(certificate));
  const context = await createClientContext(options.tls);
  for (let i = 0; i < 3; i++) {
    const connection = await connectTls({ ...options, context }, never);
    assert.equal(connection.socket.isSessionReused(), false);
    await end(connection);
  }
});
