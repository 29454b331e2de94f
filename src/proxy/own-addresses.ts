import { networkInterfaces } from 'node:os';
import type { Clock } from '../clock/clock.js';
import { formatAddress, type IpAddress, parseAddress, unmapAddress } from '../protocol/address.js';
import { BautaError } from '../protocol/bauta-error.js';

/** The addresses of this machine, and those that it is known by outside. */
export interface OwnAddresses {
  has(address: IpAddress): boolean;
}

const keyOf = (address: IpAddress): string => formatAddress(unmapAddress(address));

/** The interfaces are read again after this long, milliseconds. */
const RECHECK = 5_000;

/** Throws `BautaError` ERR_USAGE for a public address that is none. */
export function createOwnAddresses(
  clock: Clock,
  publicAddresses: readonly string[],
  interfaces: () => ReturnType<typeof networkInterfaces> = networkInterfaces,
): OwnAddresses {
  const fixed = publicAddresses.map((text) => {
    const address = parseAddress(text);
    if (!address) throw new BautaError('ERR_USAGE', { detail: `${text} is not an address` });
    return keyOf(address);
  });
  let own = new Set<string>();
  let readAt = Number.NEGATIVE_INFINITY;
  return {
    has(address) {
      if (clock.now() >= readAt + RECHECK) {
        own = new Set(fixed);
        for (const list of Object.values(interfaces())) {
          for (const entry of list ?? []) {
            const found = parseAddress(entry.address.replace(/%.*$/, ''));
            if (found) own.add(keyOf(found));
          }
        }
        readAt = clock.now();
      }
      return own.has(keyOf(address));
    },
  };
}
