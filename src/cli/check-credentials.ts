import type { ClientCore } from '../client/client-core.js';
import type { Journal } from '../ops/journal.js';
import { BautaError } from '../protocol/bauta-error.js';
import { errorObject, errorSentence } from './report-error.js';

/** Nobody's address (TEST-NET-1, RFC 5737): asking for it shows whether the credentials are good. */
const NOBODY = '192.0.2.1:9';

/**
 * Shows at the start whether the credentials are good, by asking for UDP tunnels to the targets, or to nobody
 * where there are none. Rejects with `ERR_CREDENTIALS`; gives the targets that have no tunnel for another
 * reason, which may pass.
 */
export async function checkCredentials(
  client: ClientCore,
  targets: readonly string[],
  journal: Journal,
): Promise<ReadonlyMap<string, BautaError>> {
  const failed = new Map<string, BautaError>();
  for (const target of targets.length > 0 ? new Set(targets) : [NOBODY]) {
    try {
      (await client.openRawUdp(target, { payload: () => undefined })).end();
    } catch (error) {
      if (!(error instanceof BautaError) || error.code === 'ERR_CREDENTIALS') throw error;
      if (target === NOBODY) continue;
      failed.set(target, error);
      journal.warn(
        { event: 'target-failed', target, error: errorObject(error) },
        `${target}: ${errorSentence(error)}`,
      );
    }
  }
  return failed;
}
