import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../../src/clock/system-clock.js';
import type { HttpAccept, HttpClientConnection } from '../../../src/http/connection.js';
import { dialH3 } from '../../../src/http/h3/client.js';
import { acceptH3 } from '../../../src/http/h3/server.js';
import { tunnelTransport } from '../../../src/http/h3/tunnel-transport.js';
import type { ServerStream, TunnelStreamHandler } from '../../../src/http/tunnel-stream.js';
import { BautaError } from '../../../src/protocol/bauta-error.js';
import type { QuicConnectOptions, QuicEngine } from '../../../src/quic/engine.js';
import { createNativeEngine, selfSigned, spkiPin } from '../../../src/quic/native/index.js';
import type { ServerTls } from '../../../src/quic/tls.js';
import { clientCa } from '../../quic/client-certificate.js';
import { classic, extended, recorder, recordingClientHandler } from './recorded-streams.js';

const options = { timeout: 120_000 };
const certificate = selfSigned(['proxy.test'], 10);
const none = new Uint8Array(0);

const silent = (): TunnelStreamHandler => ({
  data: () => undefined,
  end: () => undefined,
  datagram: () => undefined,
  drain: () => undefined,
  closed: () => undefined,
});

async function withServer(
  request: (stream: ServerStream) => TunnelStreamHandler,
  run: (engine: QuicEngine, quic: QuicConnectOptions) => Promise<void>,
  tls: Partial<ServerTls> = {},
): Promise<void> {
  const engines = [createNativeEngine(), createNativeEngine()] as const;
  const accept: HttpAccept = () => ({ request });
  const listener = await engines[0].listen(
    {
      local: { address: '127.0.0.1', port: 0 },
      tls: { certificates: [certificate], alpn: ['h3'], ...tls },
      transport: tunnelTransport,
    },
    acceptH3({ clock: systemClock }, accept),
  );
  try {
    await run(engines[1], {
      remote: listener.localAddress,
      tls: {
        serverName: 'proxy.test',
        alpn: ['h3'],
        trust: { mode: 'pin', pins: [spkiPin(certificate.cert)] },
      },
    });
  } finally {
    await Promise.all(engines.map((engine) => engine.close()));
  }
}

const dial = (engine: QuicEngine, quic: QuicConnectOptions): Promise<HttpClientConnection> =>
  dialH3(engine, { clock: systemClock, quic }, {}, new AbortController().signal);

const failure = (engine: QuicEngine, quic: QuicConnectOptions): Promise<string> =>
  dial(engine, quic).then(
    () => 'connected',
    (error: unknown) => (error instanceof BautaError ? error.code : String(error)),
  );

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let round = 0; round < 60_000 && !condition(); round++) await sleep(1);
  assert.ok(condition(), what);
}

describe('HTTP/3 on the native engine', { ...options, timeout: 600_000 }, () => {
  test('what fails a dial is told with its code', options, async () => {
    await withServer(silent, async (engine, quic) => {
      const pins = [`sha256-${'A'.repeat(43)}`];
      assert.equal(
        await failure(engine, { ...quic, tls: { ...quic.tls, trust: { mode: 'pin', pins } } }),
        'ERR_PIN_MISMATCH',
      );
      assert.equal(
        await failure(engine, { ...quic, tls: { ...quic.tls, trust: { mode: 'system' } } }),
        'ERR_CERTIFICATE_UNKNOWN',
      );
      const aborted = dialH3(engine, { clock: systemClock, quic }, {}, AbortSignal.abort());
      await assert.rejects(aborted, { code: 'ERR_ABORTED' });
      assert.equal(await failure(engine, quic), 'connected');
    });
    await withServer(silent, async (engine, quic) => assert.equal(await failure(engine, quic), 'ERR_TLS'), {
      alpn: ['other'],
    });
  });

  test('a client certificate that is missing is an error of TLS, not of HTTP', options, async () => {
    await withServer(silent, async (engine, quic) => assert.equal(await failure(engine, quic), 'ERR_TLS'), {
      clientCertificates: { mode: 'required', ca: clientCa },
    });
  });

  test('a port where nobody listens is unreachable', options, async () => {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    await new Promise<void>((resolve) => socket.close(() => resolve()));
    await withServer(silent, async (engine, quic) => {
      const remote = { address: '127.0.0.1', port };
      const code = await failure(engine, { ...quic, remote, handshakeTimeout: 2000 });
      assert.ok(['ERR_PROXY_UNREACHABLE', 'ERR_PROXY_TIMEOUT'].includes(code), code);
    });
  });

  test('datagrams are echoed whole and in order', options, async () => {
    const answered = (stream: ServerStream): TunnelStreamHandler => {
      stream.respond({ status: 200, fields: [] });
      return {
        ...silent(),
        datagram(bytes, start, end) {
          stream.sendDatagram(bytes.subarray(start, start + 1), bytes, start + 1, end);
        },
      };
    };
    await withServer(answered, async (engine, quic) => {
      const connection = await dial(engine, quic);
      const total = 5000;
      const window = 32;
      const payload = new Uint8Array(1200);
      const view = new DataView(payload.buffer);
      const head = Uint8Array.of(0);
      let sent = 0;
      let got = 0;
      let disorder = 0;
      const next = (): void => {
        if (sent === total) return;
        view.setUint32(0, sent++);
        assert.equal(stream.sendDatagram(head, payload, 0, payload.length), 'sent');
      };
      const stream = connection.open(extended, {
        ...silent(),
        response: () => undefined,
        datagram(bytes, start, end) {
          assert.equal(end - start, payload.length + 1);
          const order = new DataView(bytes.buffer, bytes.byteOffset + start + 1, 4).getUint32(0);
          if (order !== got) disorder += 1;
          got += 1;
          next();
        },
      });
      assert.ok(stream.maxDatagramSize >= 1201, 'a payload of 1,200 fits from the first packet');
      for (let index = 0; index < window; index++) next();
      await until(() => got === total, `${got} of ${total} echoed`);
      assert.equal(disorder, 0);
    });
  });

  test('W8: 300 stalled uploads do not hold up one that runs', options, async () => {
    let running = 0;
    const upload = (stream: ServerStream): TunnelStreamHandler => {
      stream.respond({ status: 200, fields: [] });
      if (stream.request.kind !== 'extended') return silent();
      stream.grant(1 << 20);
      return {
        ...silent(),
        data(_bytes, start, end) {
          running += end - start;
          stream.grant(end - start);
        },
      };
    };
    await withServer(upload, async (engine, quic) => {
      const connection = await dial(engine, quic);
      const chunk = new Uint8Array(16 * 1024);
      const fill = (head: typeof classic, most: number) => {
        let left = most;
        const pump = (): void => {
          while (left > 0) {
            left -= chunk.length;
            if (!stream.write(chunk, 0, chunk.length)) return;
          }
        };
        const stream = connection.open(head, { ...silent(), response: () => undefined, drain: () => pump() });
        pump();
        return stream;
      };
      const stalled = Array.from({ length: 300 }, () => fill(classic, 1 << 20));
      await until(() => stalled.every((stream) => stream.buffered > 0), 'all of them wait');
      await sleep(300);
      const total = 8 << 20;
      fill(extended, total);
      await until(() => running === total, `${running} of ${total}`);
      assert.ok(stalled.every((stream) => stream.buffered > 0));
    });
  });

  test('2,000 requests given up one after the other leave a tunnel alone', options, async () => {
    const echo = (stream: ServerStream): TunnelStreamHandler => {
      if (stream.request.kind !== 'extended') return silent();
      stream.respond({ status: 200, fields: [] });
      return {
        ...silent(),
        datagram: (bytes, start, end) => {
          stream.sendDatagram(none, bytes, start, end);
        },
      };
    };
    await withServer(echo, async (engine, quic) => {
      const connection = await dial(engine, quic);
      const got = recorder();
      const tunnel = connection.open(extended, recordingClientHandler(got));
      for (let round = 0; round < 20; round++) {
        const given = Array.from({ length: 100 }, () =>
          connection.open(classic, recordingClientHandler(recorder())),
        );
        await sleep(2);
        for (const stream of given) stream.reset('cancelled');
      }
      assert.equal(connection.streams, 1);
      assert.equal(tunnel.sendDatagram(none, Buffer.from('alive'), 0, 5), 'sent');
      await until(() => got.datagrams.length === 1, 'the tunnel answers');
      assert.equal(connection.usable, true);
    });
  });

  test('a drained server ends when its last tunnel has', options, async () => {
    let drain: () => void = () => undefined;
    const engines = [createNativeEngine(), createNativeEngine()] as const;
    const streams: ServerStream[] = [];
    const listener = await engines[0].listen(
      { local: { address: '127.0.0.1', port: 0 }, tls: { certificates: [certificate], alpn: ['h3'] } },
      acceptH3({ clock: systemClock, limits: { drainLinger: 100 } }, (connection) => {
        drain = connection.drain;
        return {
          request(stream) {
            streams.push(stream);
            stream.respond({ status: 200, fields: [] });
            return silent();
          },
        };
      }),
    );
    const connection = await dial(engines[1], {
      remote: listener.localAddress,
      tls: { serverName: 'proxy.test', alpn: ['h3'], trust: { mode: 'insecure' } },
    });
    const got = recorder();
    const stream = connection.open(extended, recordingClientHandler(got));
    stream.grant(1 << 20);
    await until(() => got.responses.length === 1, 'the response');
    drain();
    await until(() => !connection.usable, 'GOAWAY');
    const last = Buffer.alloc(200_000, 'x');
    streams[0]?.write(last, 0, last.length);
    streams[0]?.end();
    stream.end();
    await until(() => got.outcome !== undefined, 'the outcome');
    assert.deepEqual(got.outcome, { kind: 'ended' });
    assert.equal(got.text.length, last.length);
    const close = await connection.closed;
    assert.ok(['closed', 'peer-closed'].includes(close.reason), close.reason);
    await Promise.all(engines.map((engine) => engine.close()));
  });
});
