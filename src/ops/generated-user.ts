import { randomBytes } from 'node:crypto';
import { BautaError } from '../protocol/bauta-error.js';
import type { StateDirectory } from './state-directory.js';

const FILE = 'user';

/** The user of a proxy that was given none. */
export interface GeneratedUser {
  readonly name: string;
  readonly password: string;
  /** True when it was made just now. */
  readonly fresh: boolean;
  /** Where its owner can read it again. */
  readonly file: string;
  /** Writes it where it was made just now: a start that fails has not shown it. */
  keep(): Promise<void>;
}

/** Reads `NAME:PASSWORD`; the name has no colon, the password may. Throws `ERR_USAGE` without showing it. */
export function splitUser(text: string, where: string): readonly [name: string, password: string] {
  const colon = text.indexOf(':');
  if (colon < 1 || colon === text.length - 1) {
    throw new BautaError('ERR_USAGE', { detail: `${where} is not NAME:PASSWORD` });
  }
  return [text.slice(0, colon), text.slice(colon + 1)];
}

/** Made at the first start and kept in the state directory; 120 random bits that need no escaping in a link. */
export async function generatedUser(directory: StateDirectory): Promise<GeneratedUser> {
  const file = directory.file(FILE);
  const kept = await directory.read(FILE);
  if (kept !== undefined) {
    const [name, password] = splitUser(kept.trim(), file);
    return { name, password, fresh: false, file, keep: async () => undefined };
  }
  const user = { name: 'bauta', password: randomBytes(15).toString('base64url') };
  const keep = (): Promise<void> => directory.write(FILE, `${user.name}:${user.password}\n`);
  return { ...user, fresh: true, file, keep };
}
