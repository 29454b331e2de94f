import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../clock/clock.js';
import { systemClock } from '../clock/system-clock.js';
import { BautaError } from '../protocol/bauta-error.js';
import type { Authenticate } from './authenticate.js';
import { createFairTurns } from './fair-turns.js';
import { matches, type PasswordEntry, passwordEntry } from './password-entry.js';

/** Names and passwords, checked in the same time for an unknown name as for a wrong password. */
export interface PasswordStore {
  readonly authenticate: Authenticate;
  /** Replaces all users; throws `BautaError` ERR_USAGE and keeps the old ones when an entry is unusable. */
  replace(users: Iterable<readonly [name: string, secret: string]>): void;
  readonly size: number;
}

/** Hashes computed at once, and requests that may wait for one, in all and from one address. */
const TURNS = { concurrent: 2, waiting: 1_024, waitingPerSource: 64 };
/** A verified password is not hashed again for this long, milliseconds. */
const REMEMBER = 60_000;
const MAX_REMEMBERED = 10_000;

/** What an unknown name is compared with, so that it takes as long: the costliest hash there is. */
function decoyFor(entries: ReadonlyMap<string, PasswordEntry>): PasswordEntry {
  let decoy: PasswordEntry = { kind: 'digest', digest: randomBytes(32) };
  for (const entry of entries.values()) {
    if (entry.kind === 'argon2' && (decoy.kind === 'digest' || entry.cost > decoy.cost)) decoy = entry;
  }
  return decoy;
}

function read(users: Iterable<readonly [string, string]>): Map<string, PasswordEntry> {
  const entries = new Map<string, PasswordEntry>();
  for (const [name, secret] of users) {
    if (name === '' || name.includes(':')) {
      throw new BautaError('ERR_USAGE', { detail: 'a user name is empty or has a colon' });
    }
    if (secret === '') throw new BautaError('ERR_USAGE', { detail: `user ${name} has no password` });
    const entry = passwordEntry(secret);
    if (!entry)
      throw new BautaError('ERR_USAGE', { detail: `the password hash of user ${name} is malformed` });
    entries.set(name, entry);
  }
  return entries;
}

/**
 * A store of users. A secret is an argon2 hash (a PHC string) or the password itself. When any is an argon2
 * hash, unknown names and names with a plain password cost a hash too, so that time tells nothing of a name;
 * that holds when the hashes were made with the same settings. Throws `BautaError` ERR_USAGE.
 */
export function createPasswordStore(
  users: Iterable<readonly [name: string, secret: string]>,
  clock: Clock = systemClock,
): PasswordStore {
  let entries = read(users);
  let decoy = decoyFor(entries);
  const key = randomBytes(32);
  const remembered = new Map<string, number>();
  const turns = createFairTurns(TURNS);

  const verified = async (
    name: string,
    password: string,
    signal: AbortSignal,
    from: string,
  ): Promise<boolean> => {
    const entry = entries.get(name);
    if (decoy.kind === 'digest') return (await matches(entry ?? decoy, password)) && entry !== undefined;
    await turns.take(from, signal);
    try {
      const slow = entry?.kind === 'argon2' ? entry : decoy;
      const same = await matches(slow, password);
      if (entry?.kind === 'digest') return await matches(entry, password);
      return same && entry !== undefined;
    } finally {
      turns.done();
    }
  };

  return {
    async authenticate(credential, signal, from) {
      if (credential.scheme !== 'basic') return null;
      const { name, password } = credential;
      const tag = createHmac('sha256', key).update(`${name}:${password}`).digest('base64');
      const until = remembered.get(tag);
      if (until !== undefined && clock.now() < until) return { name };
      const before = entries;
      if (!(await verified(name, password, signal, from)) || signal.aborted) return null;
      if (entries === before) {
        if (remembered.size >= MAX_REMEMBERED) remembered.clear();
        remembered.set(tag, clock.now() + REMEMBER);
      }
      return { name };
    },
    replace(next) {
      entries = read(next);
      decoy = decoyFor(entries);
      remembered.clear();
    },
    get size() {
      return entries.size;
    },
  };
}
