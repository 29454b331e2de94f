import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { TcpTunnels } from './tcp-tunnels.js';
import { tlsOverTunnel } from './tls-over-tunnel.js';

/** TLS to the target: what `tls.connect` takes, and whether HTTP/2 is offered. */
export interface ConnectorOptions
  extends Omit<ConnectionOptions, 'socket' | 'host' | 'port' | 'path' | 'ALPNProtocols' | 'lookup'> {
  /** Offers HTTP/2 to the target: give it here as well as to undici's Agent. */
  readonly allowH2?: boolean;
  /** Milliseconds for the tunnel and the target's TLS; default 15,000. */
  readonly timeout?: number;
}

/** Where undici wants a connection to. */
export interface UndiciConnect {
  readonly hostname: string;
  readonly host?: string | undefined;
  readonly protocol: string;
  readonly port: string;
  readonly servername?: string | null | undefined;
}

/**
 * What undici's `connect` option takes. Its types name `net.Socket`; the socket is a `TLSSocket`, or for `http:`
 * a `TcpTunnel`, which has all of a socket that undici uses.
 */
export type UndiciConnector = (
  options: UndiciConnect,
  callback: (...result: [error: null, socket: Socket] | [error: Error, socket: null]) => void,
) => void;

const TIMEOUT = 15_000;

function bare(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}

async function connect(
  tunnels: Pick<TcpTunnels, 'openTcp' | 'openTcpAhead'>,
  { hostname, protocol, port, servername }: UndiciConnect,
  { allowH2 = false, timeout = TIMEOUT, ...tls }: ConnectorOptions,
): Promise<Socket> {
  const host = bare(hostname);
  const secure = protocol === 'https:';
  const signal = AbortSignal.timeout(timeout);
  const target = { host, port: Number(port) || (secure ? 443 : 80) };
  if (!secure) return (await tunnels.openTcp(target, { timeout })) as unknown as Socket;
  // TLS begins before the proxy has answered: its first message may be received twice.
  const { stream } = tunnels.openTcpAhead(target, { timeout });
  const ALPNProtocols = allowH2 ? ['h2', 'http/1.1'] : ['http/1.1'];
  const name = servername ? { servername } : {};
  return tlsOverTunnel(stream, host, { ...name, ...tls, ALPNProtocols }, signal);
}

/** A function for undici's `connect` option: its connections are TCP tunnels. */
export function createUndiciConnector(
  tunnels: Pick<TcpTunnels, 'openTcp' | 'openTcpAhead'>,
  options: ConnectorOptions = {},
): UndiciConnector {
  return (wanted, callback) => {
    connect(tunnels, wanted, options).then(
      (socket) => callback(null, socket),
      (error: Error) => callback(error, null),
    );
  };
}
