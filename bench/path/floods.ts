import type { Delays } from './flood.js';
import { script, startIn } from './namespace-program.js';
import type { PathKind } from './paths.js';
import { farAddress, localPorts, type Stage } from './stage.js';

/** A UDP flow at a steady rate, through a UDP tunnel or without one. */
export interface FloodKind {
  readonly name: string;
  readonly path: PathKind['name'];
  /** Of UDP payloads, Mbit/s. */
  readonly megabits: number;
  /** Towards the client, where the proxy's queue is what fills, or towards the target. */
  readonly direction: 'down' | 'up';
  readonly version?: 'h3' | 'h2';
}

/** One and a half times the bottleneck, and rates below and above what congestion control makes of 1 % loss. */
const rates: readonly (readonly [path: string, megabits: number])[] = [
  ['bottleneck', 30],
  ['loss', 1],
  ['loss', 5],
];

export const floodKinds: readonly FloodKind[] = rates.flatMap(([path, megabits]) => {
  const make = (direction: 'down' | 'up', version?: 'h3' | 'h2'): FloodKind => ({
    name: `udp-${megabits}-${direction}-${version ?? 'direct'}`,
    ...{ path, megabits, direction },
    ...(version && { version }),
  });
  return [make('down'), make('down', 'h3'), make('down', 'h2'), make('up', 'h3')];
});

const SIZE = 1_200;

/** One flood: one-way delays in milliseconds, and where datagrams were dropped. */
export interface FloodResult {
  readonly offered: number;
  readonly delays: Delays;
  /** How long packets waited at the bottleneck of the path, which is part of the delays. */
  readonly pathQueue: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly pathDropped: number;
  /** Dropped by the proxy's queue, as its event of the tunnel's end tells; towards the client only. */
  readonly proxyDropped: number | undefined;
}

async function droppedByProxy(stage: Stage): Promise<number> {
  for (;;) {
    const event = await stage.proxy.next(20);
    const { port } = (event['target'] ?? {}) as { port?: number };
    if (event['event'] !== 'tunnel-closed' || port !== stage.ports.flood) continue;
    const statistics = event['statistics'] as Record<string, number>;
    // The client asks for a tunnel to each target when it starts, which carries nothing.
    if ((statistics['payloadsOut'] ?? 0) > 0) return statistics['droppedOutQueueFull'] ?? 0;
  }
}

export async function flood(stage: Stage, kind: FloodKind, seconds: number): Promise<FloodResult> {
  const client = kind.version === undefined ? undefined : await stage.client(kind.version);
  const rate = (kind.megabits * 1e6) / (8 * SIZE);
  const end = kind.direction === 'down' ? 'flood' : 'sink';
  const [host, port] = client ? ['127.0.0.1', localPorts[end]] : [farAddress, stage.ports[end]];
  const words = [`flood-${kind.direction}`, host, `${port}`, `${SIZE}`, `${rate}`, `${seconds}`];
  const program = startIn(stage.path.near, script('near-udp-process.js', ...words));
  let delays: Delays;
  try {
    const teller = kind.direction === 'down' ? program : stage.targets;
    delays = (await teller.next(seconds + 60)) as unknown as Delays;
  } finally {
    await program.stop();
    await client?.stop();
  }
  const counters = (await stage.path.counters())[kind.direction];
  return {
    offered: Math.round(rate * seconds),
    delays,
    pathQueue: counters.queuedMs,
    pathDropped: counters.overflowed + counters.lost,
    proxyDropped: client && kind.direction === 'down' ? await droppedByProxy(stage) : undefined,
  };
}
