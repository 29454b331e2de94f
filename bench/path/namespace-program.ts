import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A program that runs in a network namespace and says what it does as JSON, one object a line. */
export interface NamespaceProgram {
  readonly child: ChildProcess;
  readonly lines: Interface;
  /** What it says next. Rejects when it ends instead, or after `seconds`. */
  next(seconds: number): Promise<Record<string, unknown>>;
  /** SIGTERM, later SIGKILL; resolves when it is gone. */
  stop(): Promise<void>;
}

/** Starts `command` in a namespace, or in that of the caller. It dies with the caller. */
export function startIn(namespace: string | undefined, command: readonly string[]): NamespaceProgram {
  const [file = '', ...args] =
    namespace === undefined ? command : ['ip', 'netns', 'exec', namespace, ...command];
  // A group of its own: ^C is ours to handle, in order.
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-2_000);
  });
  child.stdin.on('error', () => undefined);
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      errors += error.message;
      resolve();
    });
    child.once('close', () => resolve());
  });
  const lines = createInterface(child.stdout);
  const kept: Record<string, unknown>[] = [];
  lines.on('line', (line) => {
    if (line.startsWith('{')) kept.push(JSON.parse(line) as Record<string, unknown>);
  });
  return {
    child,
    lines,
    async next(seconds) {
      const failed = ended.then(() => {
        if (kept.length === 0)
          throw new Error(`${command.slice(0, 3).join(' ')} has ended: ${errors.trim()}`);
      });
      const signal = AbortSignal.timeout(Math.ceil(seconds * 1_000));
      while (kept.length === 0) await Promise.race([once(lines, 'line', { signal }), failed]);
      return kept.shift() ?? {};
    },
    async stop() {
      process.off('exit', kill);
      child.kill('SIGTERM');
      child.stdin.end();
      const late = setTimeout(kill, 3_000);
      await ended;
      clearTimeout(late);
    },
  };
}

/** A built script of this folder as a command. */
export const script = (name: string, ...args: readonly string[]): readonly string[] => [
  process.execPath,
  fileURLToPath(new URL(name, import.meta.url)),
  ...args,
];
