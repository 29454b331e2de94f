import { readFileSync } from 'node:fs';

/** KiB that the kernel has for sockets, of the whole machine. */
export interface KernelMemory {
  /** What waits in sockets: the `mem` of UDP and TCP in /proc/net/sockstat. */
  readonly buffers: number;
  /** Objects of the kernel: sockets, files, directory entries and all others. */
  readonly objects: number;
}

export function kernelMemory(): KernelMemory {
  const sockets = readFileSync('/proc/net/sockstat', 'latin1');
  const pages = [...sockets.matchAll(/^(?:UDP|TCP):.* mem (\d+)/gm)].map((match) => Number(match[1]));
  const slab = /^Slab:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1];
  return { buffers: pages.reduce((sum, count) => sum + count * 4, 0), objects: Number(slab) };
}
