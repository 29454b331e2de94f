import { randomBytes } from 'node:crypto';
import type { StateDirectory } from './state-directory.js';

const FILE = 'secret';
const BYTES = 32;

/**
 * The secret that this proxy keeps over restarts, for keys that must stay the same. Made where it is missing or
 * spoilt: a new one costs the clients of before a wait, nothing more.
 */
export async function keptSecret(directory: StateDirectory): Promise<Uint8Array> {
  const text = (await directory.read(FILE))?.trim();
  if (text !== undefined && /^(?:[0-9a-f]{2}){32,}$/.test(text)) return Buffer.from(text, 'hex');
  const secret = randomBytes(BYTES);
  await directory.write(FILE, `${secret.toString('hex')}\n`);
  return secret;
}
