import { setTimeout as delay } from 'node:timers/promises';
import type { RealTunnel } from '../proxy/real-proxy.js';

/** Sends until it comes back: a datagram may be lost, where the path changes or a buffer is full. */
export async function thereAndBack(tunnel: RealTunnel, text: string): Promise<void> {
  for (const end = performance.now() + 60_000; performance.now() < end; ) {
    tunnel.sendText(text);
    const answer = await Promise.race([tunnel.next().catch(() => undefined), delay(500)]);
    if (answer !== undefined && String(answer) === text) return;
  }
  throw new Error(`${text} never came back`);
}

/** Milliseconds of each of `count` round trips, one after the other; a lost payload counts as missing. */
export async function roundTrips(tunnel: RealTunnel, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    const began = performance.now();
    tunnel.sendText('there and back');
    await tunnel.next();
    times.push(performance.now() - began);
  }
  return times;
}

/** The value below which `share` of them are. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

export const microseconds = (milliseconds: number): string => `${Math.round(milliseconds * 1_000)} us`;
