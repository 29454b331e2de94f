import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** From where an address that is listened on can be reached. */
export type Reach = 'this-machine' | 'one-network' | 'everywhere';

const WILDCARDS: readonly string[] = ['::', '0.0.0.0'];

/** What a literal address that a socket is bound to means. */
export function reachOf(address: string): Reach {
  if (WILDCARDS.includes(address)) return 'everywhere';
  if (address === '::1' || (isIP(address) === 4 && address.startsWith('127.'))) return 'this-machine';
  return 'one-network';
}

/** The host of a `HOST:PORT` to listen on; empty for every address. */
export function listenHost(listen: string): string {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::\d+)?$/.exec(listen.trim());
  return match?.[1] ?? match?.[2] ?? '';
}

/** True where only this machine can reach what listens there; a name other than localhost may be anything. */
export function listensLocally(listen: string): boolean {
  const host = listenHost(listen);
  return host === 'localhost' || reachOf(host === '' || host === '*' ? '::' : host) === 'this-machine';
}

/** This machine's addresses that others may reach: no loopback, no link-local. */
export function machineAddresses(interfaces = networkInterfaces()): string[] {
  const found: string[] = [];
  for (const list of Object.values(interfaces)) {
    for (const { address, internal } of list ?? []) {
      if (!internal && !/^fe[89ab]/i.test(address) && !address.startsWith('169.254.')) found.push(address);
    }
  }
  return found.sort((a, b) => isIP(a) - isIP(b));
}
