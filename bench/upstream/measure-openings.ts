import type { OpenTunnel } from './openers.js';

/** What openings took. */
export interface Openings {
  /** Milliseconds each, ascending. */
  readonly times: readonly number[];
  /** Seconds from the first to the last. */
  readonly seconds: number;
  readonly errors: readonly unknown[];
}

/** Opens `count` tunnels, `concurrent` at a time, each ended as soon as it is open. */
export async function measureOpenings(
  open: OpenTunnel,
  count: number,
  concurrent: number,
): Promise<Openings> {
  const times: number[] = [];
  const errors: unknown[] = [];
  const endings: Promise<void>[] = [];
  let begun = 0;
  const begin = performance.now();
  let last = begin;
  const work = async (): Promise<void> => {
    while (begun < count) {
      begun++;
      const start = performance.now();
      try {
        const end = await open();
        last = performance.now();
        times.push(last - start);
        endings.push(end().catch((error: unknown) => void errors.push(error)));
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrent }, work));
  await Promise.all(endings);
  return { times: times.sort((a, b) => a - b), seconds: (last - begin) / 1_000, errors };
}

/** The value below which `part` of the ascending values lie. */
export function quantile(ascending: readonly number[], part: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * part))] ?? Number.NaN;
}
