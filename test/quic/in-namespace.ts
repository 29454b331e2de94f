import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const namespace = ['--net', 'sh', '-c'];

/**
 * What a program beside this file prints as JSON, run in a network namespace of its own after the shell's `setup`;
 * undefined where that cannot be made.
 */
export async function inNamespace(setup: string, program: string): Promise<unknown> {
  try {
    await run('unshare', [...namespace, setup]);
  } catch {
    return undefined;
  }
  const file = fileURLToPath(new URL(program, import.meta.url));
  const { stdout } = await run(
    'unshare',
    [...namespace, `${setup} && exec "$0" "$1"`, process.execPath, file],
    { timeout: 30_000 },
  );
  return JSON.parse(stdout);
}
