import type { Clock } from '../clock/clock.js';
import type { HttpClientConnection, HttpClientConnectionHandler } from '../http/connection.js';
import { engineIfAny } from '../http/engine-if-any.js';
import { dialH1 } from '../http/h1/dial.js';
import { dialH2 } from '../http/h2/dial.js';
import { dialH3 } from '../http/h3/client.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import type { QuicEngine } from '../quic/engine.js';
import type { ClientTls } from '../quic/tls.js';
import { dialError } from './dial-failure.js';
import { dialFirst } from './happy-eyeballs.js';
import type { ProxyAccess } from './proxy-access.js';
import type { ResolveHost } from './resolve-host.js';

export interface ProxyDialerOptions {
  readonly access: ProxyAccess;
  /** Gives the engine, or throws `ERR_NATIVE_ENGINE`: HTTP/2 and HTTP/1.1 do without then. */
  readonly engine: () => QuicEngine;
  readonly clock: Clock;
  readonly resolve: ResolveHost;
  /** Milliseconds for the handshake of one address. */
  readonly handshakeTimeout: number;
}

/** ALPN protocol names (RFC 9114 section 3.1, RFC 9113 section 3.1, RFC 7301 section 6). */
const alpn: Record<HttpVersion, string> = { h3: 'h3', h2: 'h2', h1: 'http/1.1' };

/** A PING this often keeps NAT bindings and notices a dead path, milliseconds. */
const KEEP_ALIVE = 15_000;

/** Opens a connection of the version to the first of the proxy's addresses that is up. */
export type DialProxy = (
  version: HttpVersion,
  handler: HttpClientConnectionHandler,
  signal: AbortSignal,
) => Promise<HttpClientConnection>;

export function createProxyDialer(options: ProxyDialerOptions): DialProxy {
  const { access, clock, handshakeTimeout } = options;
  return async (version, handler, signal) => {
    const addresses = await options.resolve(access.host, signal);
    const tls: ClientTls = {
      serverName: access.host,
      alpn: [alpn[version]],
      trust: access.trust,
      ...(access.certificate ? { certificate: access.certificate } : {}),
    };
    const dial = async (address: string, cancelled: AbortSignal): Promise<HttpClientConnection> => {
      const remote = { address, port: access.port };
      try {
        switch (version) {
          case 'h3':
            return await dialH3(
              options.engine(),
              { quic: { remote, tls, handshakeTimeout, transport: { keepAlive: KEEP_ALIVE } }, clock },
              handler,
              cancelled,
            );
          case 'h2':
            return await dialH2(
              engineIfAny(options.engine),
              { remote, tls, clock, handshakeTimeout },
              handler,
              cancelled,
            );
          case 'h1':
            return await dialH1(
              engineIfAny(options.engine),
              { remote, tls, clock, handshakeTimeout },
              handler,
              cancelled,
            );
        }
      } catch (error) {
        throw dialError(error);
      }
    };
    return dialFirst(addresses, dial, (connection) => void connection.close(), clock, signal);
  };
}
