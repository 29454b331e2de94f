import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import net from 'node:net';
import { after, test } from 'node:test';
import { systemClock } from '../../../src/clock/system-clock.js';
import { dialH2 } from '../../../src/http/h2/dial.js';
import { serverLimits } from '../../../src/http/h2/limits.js';
import { startH2Server } from '../../../src/http/h2/server.js';
import type { ServerStream, TunnelStreamHandler } from '../../../src/http/tunnel-stream.js';
import type { ByteSplice } from '../../../src/quic/byte-splice.js';
import { createNativeEngine } from '../../../src/quic/native/index.js';
import type { TcpSocketHandler } from '../../../src/quic/tcp-socket.js';
import { createSharedRoom } from '../../../src/quic/write-gauge.js';
import { pattern } from '../conformance/bench.js';
import { certificate, clientTls, recorder } from '../tcp/peers.js';

const engine = createNativeEngine();
after(() => engine.close());
const size = 2_000_000;

test('the engine moves the bytes of a tunnel to a target and back', { timeout: 120_000 }, async (t) => {
  const target = net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
  t.after(() => target.close());
  const { port } = target.address() as net.AddressInfo;
  let told = 0;
  let splice: ByteSplice | undefined;

  const tunnel = (stream: ServerStream): TunnelStreamHandler => {
    const toTarget: TcpSocketHandler = {
      data: () => {
        told += 1;
      },
      end: () => stream.end(),
      drain: () => undefined,
      closed: () => undefined,
    };
    const connecting = engine.tcp.connect(
      { remote: { address: '127.0.0.1', port } },
      toTarget,
      AbortSignal.timeout(60_000),
    );
    void connecting.then((socket) => {
      stream.respond({ status: 200, fields: [] });
      const begun = (made: ByteSplice | undefined): void => {
        splice = made;
      };
      assert.equal(stream.spliceBytes?.(socket, undefined, begun), true);
    });
    return {
      data: () => {
        told += 1;
      },
      end: () => void connecting.then((socket) => socket.end()),
      datagram: () => undefined,
      drain: () => undefined,
      closed: () => undefined,
    };
  };
  const listener = await engine.tcp.listenSecure(
    { local: { address: '127.0.0.1', port: 0 }, tls: { certificates: [certificate], alpn: ['h2'] } },
    (socket) => {
      const { localAddress, remoteAddress, serverName, peerCertificates } = socket;
      return startH2Server(
        socket,
        { id: 1, localAddress, remoteAddress, serverName, peerCertificates },
        {
          clock: systemClock,
          limits: serverLimits,
          requestHeadTimeout: 20_000,
          altSvc: undefined,
          room: createSharedRoom(),
        },
        () => ({ request: tunnel }),
      ).socketHandler;
    },
  );
  t.after(() => listener.close());

  const connection = await dialH2(
    engine,
    { remote: listener.localAddress, tls: clientTls, clock: systemClock },
    {},
    AbortSignal.timeout(60_000),
  );
  const seen = recorder();
  const head = { kind: 'connect', authority: `127.0.0.1:${port}`, fields: [] } as const;
  const stream = connection.open(head, seen);
  const bytes = pattern(size);
  let at = 0;
  const fill = (): void => {
    while (at < size) {
      const from = at;
      at = Math.min(size, at + 16_384);
      if (!stream.write(bytes, from, at)) return;
    }
    stream.end();
  };
  seen.drain = fill;
  stream.grant(size);
  fill();
  assert.deepEqual(await stream.closed, { kind: 'ended' });
  const sha = (of: Uint8Array): string => createHash('sha256').update(of).digest('hex');
  assert.equal(sha(seen.bytes()), sha(bytes));
  assert.equal(told, 0);
  assert.deepEqual(splice?.statistics(), { bytesIn: size, bytesOut: size });
  await connection.close();
});
