import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** What a process holds; sizes in bytes. */
export interface Standing {
  /** Open descriptors, sockets among them, and UDP sockets among those. */
  readonly descriptors: number;
  readonly sockets: number;
  readonly udpSockets: number;
  /** `process.getActiveResourcesInfo()`, counted by kind. */
  readonly resources: Readonly<Record<string, number>>;
  /** Live objects of JavaScript by their class: connections, streams and sockets of the engine and above. */
  readonly objects: Readonly<Record<string, number>>;
  readonly heap: number;
  readonly external: number;
  readonly resident: number;
}

/** Descriptors of this process, told apart by what the kernel says of them (proc(5)). Linux only. */
export function descriptorsOf(pid: number | 'self'): {
  descriptors: number;
  sockets: number;
  udpSockets: number;
} {
  const folder = `/proc/${pid}/fd`;
  const inodes = new Set<string>();
  let descriptors = 0;
  for (const name of readdirSync(folder)) {
    descriptors++;
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${name}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // The descriptor of this very listing.
      descriptors--;
    }
  }
  // A table that changes while it is read may show a socket twice.
  const udpSockets = new Set<string>();
  for (const table of ['udp', 'udp6']) {
    for (const line of readFileSync(`/proc/${pid}/net/${table}`, 'utf8').trim().split('\n').slice(1)) {
      const inode = line.trim().split(/\s+/)[9] ?? '';
      if (inodes.has(inode)) udpSockets.add(inode);
    }
  }
  return { descriptors, sockets: inodes.size, udpSockets: udpSockets.size };
}

/** How many there are of each. */
export function tally(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of [...words].sort()) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

/** One line of figures for a person. */
export function describeStanding(name: string, standing: Standing): string {
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  const { descriptors, sockets, udpSockets, objects, heap, external, resident } = standing;
  const live = Object.entries(objects)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${kind} ${count}`);
  return [
    `${name}: ${descriptors} descriptors, ${sockets} sockets (${udpSockets} UDP)`,
    `heap ${megabytes(heap)}, external ${megabytes(external)}, resident ${megabytes(resident)}`,
    live.length > 0 ? live.join(', ') : 'no live object of a connection',
  ].join('; ');
}
