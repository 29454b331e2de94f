import { createHash, timingSafeEqual } from 'node:crypto';
import { parseOptions, verify } from '@node-rs/argon2';

/** How one user's password is kept. */
export type PasswordEntry =
  /** SHA-256 of a password given in the clear; made for comparing, not for keeping on disk. */
  | { readonly kind: 'digest'; readonly digest: Buffer }
  /** A PHC string, `$argon2id$v=19$m=…`, and what checking it takes: kibibytes times passes. */
  | { readonly kind: 'argon2'; readonly hash: string; readonly cost: number };

export function digestOf(password: string): Buffer {
  return createHash('sha256').update(password, 'utf8').digest();
}

/**
 * An entry from what a user file or option holds after the colon: an argon2 hash or the password itself.
 * Undefined for a hash that is cut or spoilt.
 */
export function passwordEntry(secret: string): PasswordEntry | undefined {
  if (!secret.startsWith('$argon2')) return { kind: 'digest', digest: digestOf(secret) };
  try {
    const { memoryCost, timeCost } = parseOptions(secret);
    return { kind: 'argon2', hash: secret, cost: memoryCost * timeCost };
  } catch {
    return undefined;
  }
}

export async function matches(entry: PasswordEntry, password: string): Promise<boolean> {
  return entry.kind === 'argon2'
    ? verify(entry.hash, password)
    : timingSafeEqual(entry.digest, digestOf(password));
}
