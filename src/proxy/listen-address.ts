import { promises as dns } from 'node:dns';
import { isIP } from 'node:net';
import { BautaError } from '../protocol/bauta-error.js';

/** One address to bind, for QUIC and for TCP alike. */
export interface BindAddress {
  readonly address: string;
  readonly port: number;
  /** `::` that takes IPv4 too. */
  readonly dualStack: boolean;
  /** The machine may lack it (the IPv6 half of `localhost`) without harm. */
  readonly optional: boolean;
}

/** `[IPV6]:PORT`, `HOST:PORT`, or `:PORT`. Throws `BautaError` ERR_USAGE. */
export function parseListen(listen: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(listen.trim());
  const port = Number(match?.[3]);
  if (match && port <= 65_535) return { host: match[1] ?? match[2] ?? '', port };
  throw new BautaError('ERR_USAGE', {
    detail: `${listen} is not HOST:PORT`,
    hint: 'For example localhost:4433, or :4433 for every address.',
  });
}

/**
 * What `HOST:PORT` says to bind: `:443` and `*:443` are every address of both families, `localhost:4433` is
 * 127.0.0.1 and ::1, `[::1]:4433` and `127.0.0.1:4433` are themselves, another name is what it resolves to.
 * Port 0 is any free one. Throws `BautaError` ERR_USAGE or ERR_ADDRESS_UNAVAILABLE.
 */
export async function bindAddresses(listen: string): Promise<BindAddress[]> {
  const { host, port } = parseListen(listen);
  const one = (address: string, optional = false): BindAddress => ({
    address,
    port,
    dualStack: address === '::',
    optional,
  });
  if (host === '' || host === '*') return [one('::')];
  if (host === 'localhost') return [one('127.0.0.1'), one('::1', true)];
  if (isIP(host) !== 0) return [one(host)];
  try {
    const found = await dns.lookup(host, { all: true, verbatim: true });
    return found.map(({ address }) => one(address));
  } catch (cause) {
    throw new BautaError('ERR_ADDRESS_UNAVAILABLE', { detail: `${host} cannot be resolved`, cause });
  }
}
