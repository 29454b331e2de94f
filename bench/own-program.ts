import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Subject, subjectOf } from './foreign-program.js';

/** Starts a program of this folder, which tells its port in its first line and ends with its standard input. */
export async function startProgram(name: string, args: readonly string[]): Promise<Subject> {
  const script = fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const line = await Promise.race([
    once(createInterface(child.stdout), 'line', { signal: AbortSignal.timeout(15_000) }),
    once(child, 'exit').then(() => Promise.reject(new Error(`${name} has ended`))),
  ]);
  const { port } = JSON.parse(String(line[0])) as { port: number };
  return subjectOf(child, `127.0.0.1:${port}`, () => child.stdin.end());
}
