import type { EngineThread } from '../../quic/engine-thread.js';
import type { HttpClientConnection, HttpClientConnectionHandler } from '../connection.js';
import type { DialOptions } from '../h2/dial.js';
import { createWriteMemory } from '../tcp/slab-writer.js';
import { bindTcpConnection } from '../tcp/tcp-connection.js';
import { connectTls } from '../tls/connect.js';
import { dialSecure } from '../tls/dial-secure.js';
import { carryTls } from '../tls/tls-carrier.js';
import { startH1Client } from './client-connection.js';

export interface DialH1Options extends Omit<DialOptions, 'limits'> {
  /** Largest response head taken, bytes; default 64 KiB. */
  readonly headSize?: number;
}

/**
 * Opens an HTTP/1.1 connection: in the engine where there is one and no carrier, over Node's TLS otherwise. Rejects
 * with a `BautaError`, leaving nothing behind.
 */
export async function dialH1(
  engine: Pick<EngineThread, 'tcp'> | undefined,
  options: DialH1Options,
  handler: HttpClientConnectionHandler,
  signal: AbortSignal,
): Promise<HttpClientConnection> {
  const { carrier, clock, remote } = options;
  const tls = { ...options.tls, alpn: ['http/1.1'] };
  const handshakeTimeout = options.handshakeTimeout ?? 10_000;
  const common = { remoteAddress: remote, clock, headSize: options.headSize ?? 64 * 1024 };
  const bound = bindTcpConnection();
  if (engine && !carrier) {
    const socket = await dialSecure(engine, { remote, tls, handshakeTimeout }, bound.handler, signal);
    return startH1Client(bound.attach(socket), common, handler);
  }
  const { socket, raw } = await connectTls(
    { remote, tls, clock, handshakeTimeout, ...(carrier ? { carrier } : {}) },
    signal,
  );
  const carried = carryTls(socket, raw, clock, createWriteMemory(2));
  carried.attach(bound.handler);
  const holdProcess = (hold: boolean): void => {
    if (hold) raw.ref();
    else raw.unref();
  };
  return startH1Client(bound.attach(carried), { ...common, holdProcess }, handler);
}
