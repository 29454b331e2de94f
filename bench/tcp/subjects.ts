import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { envoyConfig } from './envoy-config.js';

/** What bytes are sent through: bauta, the same without splices, the floors, and a proxy of others. */
export type SubjectName = 'bauta' | 'bauta-js' | 'forwarder' | 'socat' | 'bare-node' | 'envoy';

/** A process under test. */
export interface Subject {
  readonly pid: number;
  /** 127.0.0.1:PORT. */
  readonly address: string;
  close(): Promise<void>;
}

function subjectOf(child: ChildProcess, address: string): Subject {
  const { pid } = child;
  if (pid === undefined) throw new Error('a process under test did not start');
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  return {
    pid,
    address,
    async close() {
      process.off('exit', kill);
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    },
  };
}

/** Starts a program of this folder, which tells its port in its first line. */
export async function startProgram(name: string, args: readonly string[]): Promise<Subject> {
  const script = fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const line = await Promise.race([
    once(createInterface(child.stdout), 'line', { signal: AbortSignal.timeout(15_000) }),
    once(child, 'exit').then(() => Promise.reject(new Error(`${name} has ended`))),
  ]);
  const told = JSON.parse(String(line[0])) as { port: number };
  return subjectOf(child, `127.0.0.1:${told.port}`);
}

async function freePort(): Promise<number> {
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

async function startForeign(program: string, args: readonly string[], port: number): Promise<Subject> {
  // socat complains of every stream that is cut off, as each is at the end of a run.
  const child = spawn(program, args, { stdio: 'ignore' });
  const subject = subjectOf(child, `127.0.0.1:${port}`);
  await untilItAccepts(child, port);
  return subject;
}

export const envoyProgram = (): string => process.env['ENVOY'] ?? 'envoy';

/** Whether a program of others can be run here. */
export function installed(name: SubjectName): boolean {
  const works = (program: string, flag: string): boolean => spawnSync(program, [flag]).status === 0;
  if (name === 'socat') return works('socat', '-V');
  return name === 'envoy' ? works(envoyProgram(), '--version') : true;
}

/** `folder` holds cert.pem and key.pem once bauta was started there. */
export async function startSubject(name: SubjectName, folder: string, target: Subject): Promise<Subject> {
  switch (name) {
    case 'bauta':
      return startProgram('../proxy-process.js', [folder]);
    case 'bauta-js':
      return startProgram('../proxy-process.js', [folder, 'js']);
    case 'forwarder':
      return startProgram('forwarder-process.js', [target.address]);
    case 'bare-node':
      return startProgram('bare-proxy-process.js', [folder]);
    case 'socat': {
      const port = await freePort();
      const listen = `TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr,backlog=64`;
      return startForeign('socat', ['-b', '65536', listen, `TCP:${target.address}`], port);
    }
    case 'envoy': {
      const port = await freePort();
      const file = join(folder, 'envoy.json');
      await writeFile(file, envoyConfig(port, join(folder, 'cert.pem'), join(folder, 'key.pem')));
      return startForeign(envoyProgram(), ['-c', file, '--concurrency', '2', '-l', 'error'], port);
    }
  }
}
