import { readFile } from 'node:fs/promises';
import { BautaError } from '../protocol/bauta-error.js';

/** Users of a text: a line each, `NAME:PASSWORD` or `NAME:ARGON2-HASH`; empty lines and lines beginning with `#` are skipped. */
export function parseUsers(text: string, source: string): (readonly [name: string, secret: string])[] {
  const users: (readonly [string, string])[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const colon = line.indexOf(':');
    if (colon < 1 || colon === line.length - 1) {
      throw new BautaError('ERR_USAGE', { detail: `${source}, line ${index + 1}: not NAME:PASSWORD` });
    }
    users.push([line.slice(0, colon), line.slice(colon + 1)]);
  }
  return users;
}

/** Reads a user file; the secrets are argon2 hashes or passwords. */
export async function readUserFile(path: string): Promise<(readonly [name: string, secret: string])[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new BautaError('ERR_USAGE', { detail: `cannot read ${path}`, cause });
  }
  return parseUsers(text, path);
}
