import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { BautaError } from '../protocol/bauta-error.js';

/** Literal addresses of a host, best first; an argument so that a test needs no name server. */
export type ResolveHost = (host: string, signal: AbortSignal) => Promise<readonly string[]>;

/** Puts the families in turns, beginning with that of the first (RFC 8305 section 4). */
export function interleaveFamilies(addresses: readonly string[]): string[] {
  const first = isIP(addresses[0] ?? '');
  const same = addresses.filter((address) => isIP(address) === first);
  const other = addresses.filter((address) => isIP(address) !== first);
  return same
    .flatMap((address, index) => [address, ...other.slice(index, index + 1)])
    .concat(other.slice(same.length));
}

/** Asks the system's resolver. Rejects with `ERR_PROXY_NAME` or `ERR_ABORTED`. */
export const resolveHost: ResolveHost = (host, signal) => {
  if (isIP(host) !== 0) return Promise.resolve([host]);
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(new BautaError('ERR_ABORTED', { cause: signal.reason }));
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted, { once: true });
    lookup(host, { all: true, verbatim: true })
      .then(
        (found) => resolve(interleaveFamilies([...new Set(found.map((entry) => entry.address))])),
        (error: unknown) => {
          const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
          reject(new BautaError('ERR_PROXY_NAME', { detail: `${host}: ${reason}`, cause: error }));
        },
      )
      .finally(() => signal.removeEventListener('abort', aborted));
  });
};
