import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { requireCommand } from './program.js';

const OWN = '.cache/curl/curl';

/** The curl that scripts/newer-curl.sh put there, or the machine's own where that is new enough. */
export const curlFile = existsSync(OWN) ? OWN : 'curl';
export function requireCurl(): { skip: string } | Record<string, never> {
  if (existsSync(OWN)) return {};
  const missing = requireCommand('curl');
  if ('skip' in missing) return missing;
  const text = spawnSync('curl', ['--version'], { encoding: 'utf8' }).stdout;
  const [, major, minor] = (/^curl (\d+)\.(\d+)/.exec(text) ?? []).map(Number);
  if (major !== undefined && minor !== undefined && (major > 8 || (major === 8 && minor >= 3))) return {};
  const skip = `curl is older than 8.3; run scripts/test-tools.sh`;
  if (process.env['CI']) throw new Error(skip);
  return { skip };
}

export interface CurlRun {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Of what it wrote to standard output. */
  readonly sha256: string;
  readonly bytes: number;
  /** The first 64 KiB of it. */
  readonly text: string;
  readonly errors: string;
}

/** Runs curl without the machine's proxy variables and configuration. */
export function curl(args: readonly string[], input?: Readable, file = curlFile): Promise<CurlRun> {
  const { PATH, HOME } = process.env;
  const child = spawn(file, ['--disable', '--silent', '--show-error', '--max-time', '120', ...args], {
    env: { PATH, HOME },
    stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  });
  const hash = createHash('sha256');
  const head: Buffer[] = [];
  let bytes = 0;
  let errors = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    if (bytes < 65_536) head.push(chunk);
    bytes += chunk.length;
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  if (input && child.stdin) {
    child.stdin.on('error', () => undefined);
    input.pipe(child.stdin);
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      const text = Buffer.concat(head).toString('latin1');
      resolve({ code, signal, sha256: hash.digest('hex'), bytes, text, errors });
    });
  });
}
