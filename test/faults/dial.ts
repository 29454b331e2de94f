import { after } from 'node:test';
import { systemClock } from '../../src/clock/system-clock.js';
import type { HttpClientConnection, HttpClientConnectionHandler } from '../../src/http/connection.js';
import { dialH1 } from '../../src/http/h1/dial.js';
import { dialH2 } from '../../src/http/h2/dial.js';
import { dialH3 } from '../../src/http/h3/client.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import type { QuicConnection } from '../../src/quic/connection.js';
import type { QuicEngine, QuicTransportOptions } from '../../src/quic/engine.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import type { ClientTls } from '../../src/quic/tls.js';

/** A proxy's port on 127.0.0.1 and the certificate that it shows. */
export interface Reachable {
  readonly port: number;
  readonly ca: string;
}

export interface DialSettings {
  readonly handler?: HttpClientConnectionHandler;
  readonly transport?: QuicTransportOptions;
  readonly timeout?: number;
}

/** Dials by any version with an engine of its own, which ends with the tests. */
export interface FaultDialler {
  readonly engine: QuicEngine;
  dial(version: HttpVersion, proxy: Reachable, settings?: DialSettings): Promise<HttpClientConnection>;
  /** HTTP/3 and the QUIC connection below it. */
  dialQuic(
    proxy: Reachable,
    settings?: DialSettings,
  ): Promise<{ readonly connection: HttpClientConnection; readonly quic: QuicConnection }>;
}

export function createFaultDialler(): FaultDialler {
  const real = createNativeEngine();
  after(() => real.close());
  let last: QuicConnection | undefined;
  const engine: QuicEngine = {
    ...real,
    async connect(options, accept, signal) {
      const quic = await real.connect(options, accept, signal);
      last = quic;
      return quic;
    },
  };
  const dial: FaultDialler['dial'] = (version, { port, ca }, settings = {}) => {
    const remote = { address: '127.0.0.1', port };
    const tls = (alpn: string): ClientTls => ({
      serverName: 'localhost',
      alpn: [alpn],
      trust: { mode: 'ca', ca: Buffer.from(ca) },
    });
    const { handler = {}, timeout = 10_000, transport } = settings;
    const signal = AbortSignal.timeout(timeout);
    const clock = systemClock;
    if (version === 'h1') return dialH1(undefined, { remote, tls: tls('http/1.1'), clock }, handler, signal);
    if (version === 'h2') return dialH2(engine, { remote, tls: tls('h2'), clock }, handler, signal);
    const quic = { remote, tls: tls('h3'), ...(transport && { transport }) };
    return dialH3(engine, { quic, clock }, handler, signal);
  };
  return {
    engine,
    dial,
    async dialQuic(proxy, settings) {
      const connection = await dial('h3', proxy, settings);
      if (!last) throw new Error('no QUIC connection');
      return { connection, quic: last };
    },
  };
}
