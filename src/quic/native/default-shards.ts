import { availableParallelism } from 'node:os';

/** What more would do has not been measured. */
const most = 8;

/**
 * Engine threads for a proxy that has the machine to itself: one for each core but that of JavaScript, at most 8;
 * 1 where the system cannot steer packets to several (off Linux).
 */
export function defaultShards(): number {
  if (process.platform !== 'linux') return 1;
  return Math.max(1, Math.min(most, availableParallelism() - 1));
}
