import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { type ChildProxy, startChildProxy } from './child-proxy.js';
import { createFaultDialler } from './dial.js';

const settings = { timeout: 120_000 };

/** Sends one byte after the other for as long as it may; milliseconds until the other side ended it. */
async function drip(socket: Socket, bytes: Uint8Array): Promise<number> {
  const began = performance.now();
  socket.on('error', () => undefined);
  socket.resume();
  socket.on('end', () => socket.destroy());
  const over = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  let at = 0;
  const timer = setInterval(() => {
    if (!socket.writable) return;
    socket.write(bytes.subarray(at % bytes.length, (at % bytes.length) + 1));
    at++;
  }, 250);
  await over;
  clearInterval(timer);
  return performance.now() - began;
}

async function tlsTo(proxy: ChildProxy, protocol: string): Promise<Socket> {
  const socket = connectTls({
    port: proxy.port,
    host: '127.0.0.1',
    ca: proxy.ca,
    servername: 'localhost',
    ALPNProtocols: [protocol],
  });
  await once(socket, 'secureConnect');
  return socket;
}

describe('W12: those who take their time', { ...settings, timeout: 600_000, concurrency: true }, () => {
  const cases: readonly (readonly [string, number, (proxy: ChildProxy) => Promise<number>])[] = [
    [
      'a TLS handshake byte by byte',
      10_000,
      async (proxy) => {
        const hello = Buffer.alloc(600, 1);
        hello.set([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]);
        return drip(connectTcp(proxy.port, '127.0.0.1'), hello);
      },
    ],
    [
      'an HTTP/1.1 head byte by byte',
      20_000,
      async (proxy) => {
        const head = Buffer.from(`GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'a'.repeat(4_000)}`);
        return drip(await tlsTo(proxy, 'http/1.1'), head);
      },
    ],
    [
      'an HTTP/2 preface byte by byte',
      20_000,
      async (proxy) => {
        const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
        const unknown = Buffer.from([0, 15, 0, 0xee, 0, 0, 0, 0, 0]);
        return drip(
          await tlsTo(proxy, 'h2'),
          Buffer.concat([
            Buffer.from(preface),
            Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
            unknown,
            Buffer.alloc(4_000),
          ]),
        );
      },
    ],
    [
      'an HTTP/3 head byte by byte',
      10_000,
      async (proxy) => {
        const { connection, quic } = await createFaultDialler().dialQuic(proxy);
        const began = performance.now();
        await new Promise<void>((resolve) => {
          const end = (): void => {
            clearInterval(timer);
            resolve();
          };
          const stream = quic.openBidirectional({
            data: () => undefined,
            end,
            reset: end,
            stopped: end,
            drain: () => undefined,
            lost: end,
          });
          stream.grant(1_000);
          // A HEADERS frame of 4,000 bytes.
          const bytes = Buffer.concat([Buffer.from([0x01, 0x4f, 0xa0]), Buffer.alloc(4_000)]);
          let at = 0;
          const timer = setInterval(() => {
            stream.write(bytes, at, at + 1);
            at++;
          }, 250);
        });
        const took = performance.now() - began;
        assert.equal(connection.usable, true, 'the connection stays');
        await connection.close();
        return took;
      },
    ],
  ];
  for (const [what, limit, run] of cases) {
    test(`W12: ${what} is ended after ${limit / 1_000} s`, settings, async (t) => {
      const proxy = await startChildProxy();
      const took = await run(proxy);
      t.diagnostic(`ended after ${Math.round(took)} ms`);
      assert.ok(took > limit * 0.8 && took < limit * 2, `${took} ms`);
    });
  }
});
