import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The built command, of the same build as this test. */
export const bautaMain = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export interface RunningCommand {
  readonly first: Record<string, unknown>;
  readonly child: ChildProcess;
  /** SIGTERM, and the exit code. */
  stop(): Promise<number | null>;
}

/** Starts `bauta ARGS --json` and waits for its first line. */
export function startBauta(args: readonly string[]): Promise<RunningCommand> {
  const child = spawn(process.execPath, [bautaMain, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  return new Promise((resolve, reject) => {
    void ended.then((code) => reject(new Error(`bauta ${args[0]} ended with ${code}: ${errors}`)));
    createInterface({ input: child.stdout }).once('line', (line) => {
      resolve({
        first: JSON.parse(line) as Record<string, unknown>,
        child,
        stop: () => {
          child.kill('SIGTERM');
          return ended;
        },
      });
    });
  });
}
