import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { subjectOf } from '../foreign-program.js';
import type { ProxySettings, Subject } from '../subjects.js';

/** Bytes of the proxy's process, its garbage collected. */
export interface ProxyMemory {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
}

/** A proxy that can be asked for its memory. */
export interface MeasuredProxy extends Subject {
  readonly port: number;
  memory(): Promise<ProxyMemory>;
}

const nextLine = async (lines: Interface, child: ChildProcess): Promise<string> =>
  String(
    await Promise.race([
      once(lines, 'line', { signal: AbortSignal.timeout(30_000) }),
      once(child, 'exit').then(() => Promise.reject(new Error('the proxy under test has ended'))),
    ]),
  );

export async function startMeasuredProxy(folder: string, settings: ProxySettings): Promise<MeasuredProxy> {
  const script = fileURLToPath(new URL('../proxy-process.js', import.meta.url));
  const args = ['--expose-gc', script, folder, JSON.stringify(settings)];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface(child.stdout);
  const { port } = JSON.parse(await nextLine(lines, child)) as { port: number };
  return {
    ...subjectOf(child, `127.0.0.1:${port}`),
    port,
    async memory() {
      const answer = nextLine(lines, child);
      child.stdin.write('\n');
      return JSON.parse(await answer) as ProxyMemory;
    },
  };
}
