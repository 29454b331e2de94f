import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { PathReport } from './path-process.js';

/** Ways through the delaying process, one UDP and one TCP port for each port that was asked for. */
export interface Path {
  readonly ways: readonly { readonly udp: number; readonly tcp: number }[];
  /** Seconds of CPU time that the process has used. */
  cpu(): Promise<number>;
  close(): void;
}

/** `delay` is in milliseconds, one way. */
export async function startPath(delay: number, ports: readonly number[]): Promise<Path> {
  const script = fileURLToPath(new URL('path-process.js', import.meta.url));
  const child = fork(script, [delay, ...ports].map(String));
  const next = async (): Promise<PathReport> => {
    const [report] = await once(child, 'message', { signal: AbortSignal.timeout(20_000) });
    return report as PathReport;
  };
  const up = await next();
  if (up.kind !== 'up') throw new Error('the path did not say where it is');
  return {
    ways: up.ways,
    async cpu() {
      const report = next();
      child.send('cpu');
      const told = await report;
      return told.kind === 'cpu' ? told.seconds : 0;
    },
    close: () => child.disconnect(),
  };
}
