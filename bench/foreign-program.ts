import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { envoyConfig } from './envoy-config.js';

/** A process under test. */
export interface Subject {
  readonly pid: number;
  /** 127.0.0.1:PORT. */
  readonly address: string;
  close(): Promise<void>;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await exit;
  clearTimeout(late);
}

/** A child under test. `stop` asks it to end, which it has 5 s for; it never outlives this process. */
export function subjectOf(
  child: ChildProcess,
  address: string,
  stop: () => void = () => void child.kill('SIGKILL'),
): Subject {
  const { pid } = child;
  if (pid === undefined) throw new Error('a process under test did not start');
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  return {
    pid,
    address,
    async close() {
      stop();
      await ended(child);
      process.off('exit', kill);
    },
  };
}

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  server.close();
  await once(server, 'close');
  return bound !== null && typeof bound === 'object' ? bound.port : 0;
}

async function untilItAccepts(child: ChildProcess, port: number): Promise<void> {
  for (let left = 100; left > 0; left--) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} has ended with ${child.exitCode}`);
    const socket = connect(port, '127.0.0.1');
    const up = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (up) return;
    await wait(100);
  }
  throw new Error(`${child.spawnfile} does not listen`);
}

/** Starts a program of others, and waits until it takes TCP connections on the port. */
export async function startForeign(program: string, args: readonly string[], port: number): Promise<Subject> {
  // socat complains of every stream that is cut off, as each is at the end of a run.
  const child = spawn(program, args, { stdio: 'ignore' });
  const subject = subjectOf(child, `127.0.0.1:${port}`);
  await untilItAccepts(child, port);
  return subject;
}

const envoyProgram = (): string => process.env['ENVOY'] ?? 'envoy';

/** Whether Envoy can be run here. */
export const hasEnvoy = (): boolean => spawnSync(envoyProgram(), ['--version']).status === 0;

/** Envoy with two workers; `folder` holds cert.pem and key.pem, and gets its configuration. */
export async function startEnvoy(folder: string): Promise<Subject> {
  const port = await freePort();
  const file = join(folder, 'envoy.json');
  await writeFile(file, envoyConfig(port, join(folder, 'cert.pem'), join(folder, 'key.pem')));
  return startForeign(envoyProgram(), ['-c', file, '--concurrency', '2', '-l', 'error'], port);
}
