import { createSocket, type Socket } from 'node:dgram';
import { after } from 'node:test';
import { systemClock } from '../../src/clock/system-clock.js';
import type { HttpClientConnection, HttpClientConnectionHandler } from '../../src/http/connection.js';
import { dialH1 } from '../../src/http/h1/dial.js';
import { dialH2 } from '../../src/http/h2/dial.js';
import { dialH3 } from '../../src/http/h3/client.js';
import type { Fields } from '../../src/protocol/fields.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { defaultTemplates, expandTemplate, parseTemplate } from '../../src/protocol/template.js';
import { createProxy } from '../../src/proxy/create-proxy.js';
import type { ProxyEvent } from '../../src/proxy/events.js';
import type { ProxyOptions } from '../../src/proxy/options.js';
import type { RunningProxy } from '../../src/proxy/proxy.js';
import type { SocketAddress } from '../../src/quic/address.js';
import type { QuicEngine } from '../../src/quic/engine.js';
import { createNativeEngine, selfSigned } from '../../src/quic/native/index.js';
import type { ClientTls } from '../../src/quic/tls.js';
import { type OpenUdpTunnel, openUdpTunnel } from '../../src/tunnel/udp/open-udp.js';
import { dataPath } from '../data-path.js';
import { shardOption } from '../shards.js';

export const certificate = selfSigned(['localhost', '127.0.0.1', '::1'], 30);
const signal = (): AbortSignal => AbortSignal.timeout(60_000);

/** A proxy on loopback that lets anyone reach loopback, and the events it told. */
export async function startProxy(
  options: Partial<ProxyOptions> = {},
): Promise<{ readonly proxy: RunningProxy; readonly events: ProxyEvent[] }> {
  const events: ProxyEvent[] = [];
  const proxy = await createProxy({
    listen: '127.0.0.1:0',
    tls: certificate,
    authenticate: 'anyone',
    targets: { allow: ['127.0.0.0/8', '::1'] },
    onEvent: (event) => events.push(event),
    dataPath,
    ...(options.engine ? {} : shardOption),
    ...options,
  });
  after(() => proxy.close());
  return { proxy, events };
}

/** Dials a proxy by the versions there are; close what it gave. */
export interface Dialler {
  dial(
    version: HttpVersion,
    proxy: RunningProxy,
    handler?: HttpClientConnectionHandler,
  ): Promise<HttpClientConnection>;
  readonly engine: QuicEngine;
}

/** Over HTTP/1.1 it has Node's TLS, which may take a reset behind its own end for a clean one, or the engine's. */
export function createDialler(http1: 'node' | 'engine' = 'node'): Dialler {
  const engine = createNativeEngine();
  after(() => engine.close());
  const tls: ClientTls = {
    serverName: 'localhost',
    alpn: ['h3'],
    trust: { mode: 'ca', ca: certificate.cert },
  };
  return {
    engine,
    async dial(version, proxy, handler = {}) {
      const transport = version === 'h3' ? 'udp' : 'tcp';
      const found = proxy.addresses.find((address) => address.transport === transport);
      if (!found) throw new Error(`the proxy has no ${transport} address`);
      const remote: SocketAddress = { address: found.address, port: found.port };
      if (version === 'h3') {
        return dialH3(engine, { quic: { remote, tls }, clock: systemClock }, handler, signal());
      }
      if (version === 'h1') {
        return dialH1(
          http1 === 'engine' ? engine : undefined,
          { remote, tls: { ...tls, alpn: ['http/1.1'] }, clock: systemClock },
          handler,
          signal(),
        );
      }
      return dialH2(engine, { remote, tls: { ...tls, alpn: ['h2'] }, clock: systemClock }, handler, signal());
    },
  };
}

/** An echo on loopback. */
export async function startEcho(address = '127.0.0.1'): Promise<{ socket: Socket; port: number }> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  await new Promise<void>((resolve) => socket.bind(0, address, resolve));
  after(() => {
    try {
      socket.close();
    } catch {
      // The test closed it.
    }
  });
  return { socket, port: socket.address().port };
}

export interface RealTunnel extends OpenUdpTunnel {
  sendText(text: string | Uint8Array): string;
  /** The next payload from the target. */
  next(): Promise<Buffer>;
}

const template = parseTemplate(defaultTemplates.udp);

export function openTunnel(
  connection: HttpClientConnection,
  host: string,
  port: number,
  fields: Fields = [],
): RealTunnel {
  const payloads: Buffer[] = [];
  let wake: () => void = () => undefined;
  const tunnel = openUdpTunnel(
    connection,
    {
      authority: 'localhost',
      path: expandTemplate(template, { target_host: host, target_port: String(port) }),
      fields,
      clock: systemClock,
      timeout: 10_000,
    },
    {
      payload(bytes, start, end) {
        payloads.push(Buffer.from(Uint8Array.prototype.slice.call(bytes, start, end)));
        wake();
      },
    },
    signal(),
  );
  return Object.assign(Object.create(tunnel) as OpenUdpTunnel, {
    sendText(text: string | Uint8Array) {
      const bytes = Buffer.from(text);
      return tunnel.send(bytes, 0, bytes.length);
    },
    async next() {
      while (payloads.length === 0) {
        await new Promise<void>((resolve, reject) => {
          const timer = setTimeout(() => reject(new Error('no payload came')), 30_000);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      return payloads.shift() ?? Buffer.alloc(0);
    },
  });
}
