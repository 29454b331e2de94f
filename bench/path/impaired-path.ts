import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startIn } from './namespace-program.js';
import type { PathKind } from './paths.js';

const run = promisify(execFile);

/** Not copied to dist: the build knows TypeScript only. */
const impair = fileURLToPath(new URL('../../../bench/path/impair.py', import.meta.url));

/** Times in whole milliseconds. */
export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** What became of the packets of one direction. */
export interface DirectionCounters {
  readonly packets: number;
  readonly bytes: number;
  /** By the loss of the path, by its full queue, and by the kernel on the far side. */
  readonly lost: number;
  readonly overflowed: number;
  readonly refused: number;
  /** How long they waited for the bottleneck, and how much later than planned they arrived. */
  readonly queuedMs: Spread;
  readonly lateMs: Spread;
}

export interface PathCounters {
  readonly up: DirectionCounters;
  readonly down: DirectionCounters;
}

/** Two network namespaces with an impaired path between them. */
export interface ImpairedPath extends AsyncDisposable {
  readonly near: string;
  readonly far: string;
  /** Random numbers from this seed, and counters from 0. */
  reset(seed: number): Promise<void>;
  counters(): Promise<PathCounters>;
}

const existing = new Set<string>();
const removeAll = (): void => {
  for (const name of existing) spawnSync('ip', ['netns', 'delete', name], { stdio: 'ignore' });
  existing.clear();
};
process.once('exit', removeAll);
let paths = 0;

async function addNamespace(number: number, end: string): Promise<string> {
  const name = `bauta-${process.pid}-${number}-${end}`;
  await run('ip', ['netns', 'add', name]);
  existing.add(name);
  // What one run learns of the path must not help the next.
  const exec = ['netns', 'exec', name, 'sysctl', '-qw', 'net.ipv4.tcp_no_metrics_save=1'];
  await run('ip', exec);
  return name;
}

/** `congestion` is that of TCP over the path. */
export async function openPath(kind: PathKind, seed: number, congestion: string): Promise<ImpairedPath> {
  const number = paths++;
  const [near, far] = [await addNamespace(number, 'near'), await addNamespace(number, 'far')];
  const options = {
    delay: kind.delay,
    jitter: kind.jitter,
    loss: kind.loss,
    rate: kind.rate,
    queue: kind.queue,
    seed,
    congestion,
  };
  const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const reorder = kind.reorder ? ['--reorder'] : [];
  const command = ['python3', impair, near, far, ...words, ...reorder];
  const program = startIn(undefined, command);
  const ask = async (what: string): Promise<PathCounters> => {
    program.child.stdin?.write(`${what}\n`);
    return (await program.next(60)) as unknown as PathCounters;
  };
  await program.next(60);
  return {
    near,
    far,
    async reset(next) {
      await ask(`reset ${next}`);
    },
    counters: () => ask('tell'),
    async [Symbol.asyncDispose]() {
      await program.stop();
      for (const name of [near, far]) {
        await run('ip', ['netns', 'delete', name]);
        existing.delete(name);
      }
    },
  };
}
