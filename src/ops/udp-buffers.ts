import { readFile } from 'node:fs/promises';
import { BautaError } from '../protocol/bauta-error.js';

/** Below this, bursts are lost before the engine sees them, bytes. */
const ENOUGH = 1_048_576;

/** Reads a kernel setting; an argument so that a test needs no kernel of its own. */
export type ReadSetting = (path: string) => Promise<string>;

/**
 * `ERR_UDP_BUFFERS` where the kernel allows less than 1 MiB for a UDP socket; undefined where it is enough,
 * and where there is no such setting (off Linux).
 */
export async function smallUdpBuffers(
  read: ReadSetting = (path) => readFile(path, 'utf8'),
): Promise<BautaError | undefined> {
  const small: string[] = [];
  for (const name of ['rmem_max', 'wmem_max']) {
    const text = await read(`/proc/sys/net/core/${name}`).catch(() => undefined);
    const bytes = text === undefined ? Number.NaN : Number(text.trim());
    if (bytes < ENOUGH) small.push(`net.core.${name} is ${bytes}`);
  }
  return small.length === 0 ? undefined : new BautaError('ERR_UDP_BUFFERS', { detail: small.join(', ') });
}
