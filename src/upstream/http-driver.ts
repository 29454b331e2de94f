import { isIP } from 'node:net';
import type { Clock } from '../clock/clock.js';
import type { HttpClientConnection, HttpClientConnectionHandler } from '../http/connection.js';
import { engineIfAny } from '../http/engine-if-any.js';
import { dialH1 } from '../http/h1/dial.js';
import { dialH2 } from '../http/h2/dial.js';
import { dialH3 } from '../http/h3/client.js';
import type { EngineThread } from '../quic/engine-thread.js';
import type { ClientTls } from '../quic/tls.js';
import { dialAddresses } from './dial-addresses.js';
import { h3SettingsOf } from './h3-settings.js';
import { createHttpTransport } from './http-transport.js';
import { alpnOf, type UpstreamTarget } from './target.js';
import type { TransportDriver } from './transport.js';

/** The addresses of a name, in the order in which to try them. */
export type ResolveName = (host: string, signal: AbortSignal) => Promise<readonly string[]>;

export interface HttpDriverOptions {
  readonly clock: Clock;
  /** Gives the engine, or throws `ERR_NATIVE_ENGINE`: HTTP/2 and HTTP/1.1 do without then. */
  readonly engine: () => Pick<EngineThread, 'connect' | 'tcp'>;
  /** Not asked for literal addresses. */
  readonly resolve: ResolveName;
  /** Milliseconds for the handshake with one address; default 10,000. */
  readonly handshakeTimeout?: number;
}

/** A PING this often keeps NAT bindings and notices a dead path, milliseconds. */
const KEEP_ALIVE = 15_000;

function tlsOf(target: UpstreamTarget): ClientTls {
  const { serverName, alpn, ...rest } = target.tls;
  // The h2 dial offers only `h2` and the h1 dial only `http/1.1`, whatever is said here.
  return { ...rest, serverName: serverName ?? target.host, alpn: alpn ?? [alpnOf[target.version]] };
}

/** Dials on the engine; a name's addresses by RFC 8305. */
export function createHttpDriver(options: HttpDriverOptions): TransportDriver {
  const { clock, handshakeTimeout = 10_000 } = options;
  let connections = 0;

  const dialAddress = (
    target: UpstreamTarget,
    address: string,
    handler: HttpClientConnectionHandler,
    signal: AbortSignal,
  ): Promise<HttpClientConnection> => {
    const remote = { address, port: target.port };
    const tls = tlsOf(target);
    switch (target.version) {
      case 'h3': {
        const transport = { keepAlive: KEEP_ALIVE, ...target.quic };
        return dialH3(
          options.engine(),
          {
            clock,
            quic: { remote, tls, handshakeTimeout, transport },
            settings: h3SettingsOf(target.h3Settings),
            ...(target.h3Limits ? { limits: target.h3Limits } : {}),
          },
          handler,
          signal,
        );
      }
      case 'h2':
        return dialH2(engineIfAny(options.engine), { remote, tls, clock, handshakeTimeout }, handler, signal);
      case 'h1':
        return dialH1(engineIfAny(options.engine), { remote, tls, clock, handshakeTimeout }, handler, signal);
    }
  };

  return {
    async dial(target, signal) {
      const addresses = isIP(target.host) ? [target.host] : await options.resolve(target.host, signal);
      signal.throwIfAborted();
      return dialAddresses(
        addresses,
        clock,
        async (address, cancelled) => {
          const transport = createHttpTransport();
          const connection = await dialAddress(target, address, transport.handler, cancelled);
          connections += 1;
          return transport.attach(connection, connections);
        },
        signal,
      );
    },
  };
}
