import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** A program that was found, or the reason for a skip. In CI a missing program is a failure. */
export function requireProgram(path: string, from: string): { skip: string } | Record<string, never> {
  if (existsSync(path)) return {};
  if (process.env['CI']) throw new Error(`${path} is missing: ${from} should have made it`);
  return { skip: `${path} is missing; run ${from}` };
}

/** The same for a program found by its name. */
export function requireCommand(name: string): { skip: string } | Record<string, never> {
  const folders = (process.env['PATH'] ?? '').split(':').concat('/usr/sbin', '/sbin');
  if (folders.some((folder) => existsSync(`${folder}/${name}`))) return {};
  if (process.env['CI'])
    throw new Error(`${name} is missing: scripts/test-tools.sh should have installed it`);
  return { skip: `${name} is missing; run scripts/test-tools.sh` };
}

export interface Finished {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, within a time limit in milliseconds. */
export function runProgram(file: string, args: readonly string[], timeout = 60_000): Promise<Finished> {
  return new Promise((resolve) => {
    execFile(file, args, { timeout, maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      resolve({ code: error ? (error.code ?? 'killed') : 0, stdout, stderr });
    });
  });
}

/** The JSON objects that a program printed, one a line. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Starts a server program and resolves with the first JSON line that it prints. */
export function startProgram(
  file: string,
  args: readonly string[],
): Promise<{ first: Record<string, unknown>; stop: () => void }> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${file} ended with ${code}`)));
    createInterface({ input: child.stdout }).once('line', (line) => {
      resolve({
        first: JSON.parse(line) as Record<string, unknown>,
        stop: () => {
          child.removeAllListeners('exit');
          child.kill('SIGKILL');
        },
      });
    });
  });
}
