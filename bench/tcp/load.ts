import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { runLoad } from '../load-program.js';
import type { Transfer, TransferPlan } from './transfer.js';

/** Seconds that a run may take besides. */
const SLACK = 30;

/** One transfer with bauta's own client, or plain sockets, in a process of its own. */
export function runOwnLoad(plan: TransferPlan): Promise<Transfer> {
  const script = fileURLToPath(new URL('load-process.js', import.meta.url));
  const timeout = (plan.seconds + plan.warmUp + SLACK) * 1_000;
  return new Promise((resolve, reject) => {
    const options = { timeout, killSignal: 'SIGKILL' } as const;
    execFile(process.execPath, [script, JSON.stringify(plan)], options, (error, out, said) => {
      if (error) reject(new Error(said.trim() || error.message));
      else resolve(JSON.parse(out) as Transfer);
    });
  });
}

/** The same with masque-load, which brings its own sinks and sources. */
export async function runNeutralLoad(program: string, plan: TransferPlan): Promise<Transfer> {
  const { transport, direction, streams, address, pid, seconds, warmUp } = plan;
  const result = await runLoad(
    program,
    [
      ...['tcp-bulk', '--transport', transport, '--dir', direction, '--tunnels', String(streams)],
      ...['--proxy', address, '--pid', String(pid), '--secs', String(seconds), '--warmup', String(warmUp)],
    ],
    seconds + warmUp + SLACK,
  );
  const field = (name: string): number => Number(result[name]);
  return {
    megabytesPerSecond: field('mb_per_s'),
    serverSecondsPerGb: field('server_us_per_mb') / 1_000,
    clientSecondsPerGb: field('client_us_per_mb') / 1_000,
    serverCores: field('server_cores'),
    foreignCores: field('foreign_cores'),
  };
}
