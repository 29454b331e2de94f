import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { Clock } from '../clock/clock.js';

/** Names with fixed addresses. */
export interface Hosts {
  /** The addresses of a lower-case name, in the file's order; empty when it is not there. */
  lookup(name: string): Promise<readonly string[]>;
}

const LOCALHOST: readonly string[] = ['::1', '127.0.0.1'];
/** The file is looked at again after this long, milliseconds. */
const RECHECK = 5_000;

/** Reads the form of hosts(5). */
export function parseHosts(text: string): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address, ...aliases] = (line.split('#')[0] ?? '').trim().split(/\s+/);
    if (address === undefined || isIP(address) === 0 || address.includes('%')) continue;
    for (const alias of aliases) {
      const name = alias.toLowerCase();
      const addresses = names.get(name) ?? [];
      if (!addresses.includes(address)) addresses.push(address);
      names.set(name, addresses);
    }
  }
  return names;
}

/** The machine's hosts file, read again when it changed; `localhost` is loopback (RFC 6761 section 6.3). */
export function createHosts(clock: Clock, path = '/etc/hosts'): Hosts {
  let names = new Map<string, string[]>();
  let version = '';
  let checkAt = Number.NEGATIVE_INFINITY;
  let checking: Promise<void> | undefined;

  const check = async (): Promise<void> => {
    try {
      const { mtimeMs, size, ino } = await stat(path);
      const seen = `${mtimeMs} ${size} ${ino}`;
      if (seen !== version) {
        names = parseHosts(await readFile(path, 'utf8'));
        version = seen;
      }
    } catch {
      // A machine without the file has no fixed names.
      names = new Map();
      version = '';
    }
    checkAt = clock.now() + RECHECK;
    checking = undefined;
  };

  return {
    async lookup(name) {
      if (name === 'localhost' || name.endsWith('.localhost')) return LOCALHOST;
      if (clock.now() >= checkAt) {
        checking ??= check();
        await checking;
      }
      return names.get(name) ?? [];
    },
  };
}
