import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/clock/system-clock.js';
import type { HttpAccept } from '../../src/http/connection.js';
import { acceptH3 } from '../../src/http/h3/server.js';
import { tunnelTransport } from '../../src/http/h3/tunnel-transport.js';
import type { RequestHead } from '../../src/http/request.js';
import { listenTcp } from '../../src/http/tcp/listener.js';
import type { QuicEngine } from '../../src/quic/engine.js';
import { selfSigned } from '../../src/quic/native/index.js';
import { createFaultDialler } from './dial.js';
import { plainPost, startUpload, type Upload } from './uploads.js';

const settings = { timeout: 120_000 };

/** Serves uploads on loopback: the extended ones are read, all others stall for want of credit. */
async function uploadServer(
  version: 'h3' | 'h2',
  engine: QuicEngine,
): Promise<{ readonly port: number; readonly ca: string; readonly running: () => number }> {
  let running = 0;
  const accept: HttpAccept = () => ({
    request(stream) {
      const reads = stream.request.kind === 'extended';
      queueMicrotask(() => {
        stream.respond({ status: 200, fields: [] });
        if (reads) stream.grant(1 << 20);
      });
      return {
        data(_bytes, start, end) {
          running += end - start;
          stream.grant(end - start);
        },
        end: () => undefined,
        datagram: () => undefined,
        drain: () => undefined,
        closed: () => undefined,
      };
    },
  });
  const certificate = selfSigned(['localhost'], 30);
  const local = { address: '127.0.0.1', port: 0 };
  const tls = (alpn: string) => ({ certificates: [certificate], alpn: [alpn] });
  const clock = systemClock;
  const listener =
    version === 'h3'
      ? await engine.listen(
          { local, tls: tls('h3'), transport: tunnelTransport },
          acceptH3({ clock }, accept),
        )
      : await listenTcp({ engine, local, tls: tls('h2'), clock, nextConnectionId: () => 1 }, accept);
  after(() => listener.close(0x100, ''));
  return { port: listener.localAddress.port, ca: certificate.cert, running: () => running };
}

describe('uploads that stall', { ...settings, timeout: 600_000 }, () => {
  for (const version of ['h3', 'h2'] as const) {
    test(`W8: over ${version} one that runs keeps its rate beside 300`, settings, async (t) => {
      const server = await uploadServer(version, createFaultDialler().engine);
      const dialler = createFaultDialler();
      const connection = await dialler.dial(version, server);
      const runs: RequestHead = { ...plainPost, kind: 'extended', protocol: 'connect-udp' };
      startUpload(connection, runs, Number.POSITIVE_INFINITY);
      const rate = async (): Promise<number> => {
        const [from, began] = [server.running(), performance.now()];
        await delay(400);
        return (server.running() - from) / (performance.now() - began) / 1e3;
      };
      await rate();
      let [alone, beside] = [0, 0];
      for (let attempt = 1; attempt <= 10 && !(beside > alone * 0.7); attempt++) {
        alone = Math.max(await rate(), await rate());
        const stalled: Upload[] = Array.from({ length: 300 }, () =>
          startUpload(connection, plainPost, 2 << 20),
        );
        await delay(1_500);
        beside = Math.max(await rate(), await rate());
        t.diagnostic(`MB a second: ${alone.toFixed(0)} alone, ${beside.toFixed(0)} beside 300 that stall`);
        for (const { written, outcome } of stalled) {
          assert.equal(outcome, undefined);
          assert.ok(written < 2 << 20, 'it really stalls');
        }
        for (const { stream } of stalled) stream.reset('cancelled');
        await delay(200);
      }
      assert.ok(beside > alone * 0.7);
      await connection.close();
    });
  }
});
