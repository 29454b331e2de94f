import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { freePort } from '../free-port.js';

/** Why tests with a real Redis cannot run here; undefined where they can. */
export const withoutRedis: string | undefined = spawnSync('redis-server', ['--version']).error
  ? 'redis-server is not installed (scripts/test-tools.sh)'
  : undefined;

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** A Redis of its own on 127.0.0.1, which keeps nothing. */
export async function startRedis(): Promise<AsyncDisposable & { readonly target: string }> {
  const port = await freePort('tcp');
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server: ChildProcess = spawn('redis-server', options, { stdio: 'ignore', cwd: '/tmp' });
  const exit = once(server, 'exit');
  while (server.exitCode === null && !(await answers(port))) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (server.exitCode !== null) throw new Error(`redis-server ended with ${server.exitCode}`);
  return {
    target: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.kill();
      await exit;
    },
  };
}
