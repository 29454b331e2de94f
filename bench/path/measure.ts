import { type FloodKind, type FloodResult, flood } from './floods.js';
import type { DirectionCounters } from './impaired-path.js';
import type { PathKind } from './paths.js';
import { type Probe, probe } from './probe.js';
import { type Congestion, openStage, type Stage } from './stage.js';
import { type Transfer, type TransferKind, transfer } from './transfers.js';

/** What the runs are made of. */
export interface Plan {
  readonly transfers: readonly TransferKind[];
  readonly floods: readonly FloodKind[];
  readonly bytes: number;
  /** The most that one transfer may take, and the length of a flood, seconds. */
  readonly limit: number;
  readonly floodSeconds: number;
  readonly congestion: Congestion;
}

interface RunOf {
  readonly path: string;
  readonly seed: number;
}

/** What one run told. */
export type Told = RunOf &
  (
    | { readonly event: 'probe'; readonly probe: Probe }
    | ({
        readonly event: 'transfer';
        readonly name: string;
        readonly megabits: number;
        /** What the path did to the packets towards the client. */
        readonly down: DirectionCounters;
      } & Transfer)
    | ({ readonly event: 'flood'; readonly name: string } & FloodResult)
    | { readonly event: 'failed'; readonly name: string; readonly error: string }
  );

/** Every stage there was, to be closed when the program ends early; closing one again does nothing. */
export const openStages = new Set<Stage>();

/** Everything of one seed over one path, in turn; every second seed backwards. Each run begins with the same seed. */
export async function measureSeed(
  kind: PathKind,
  seed: number,
  plan: Plan,
  tell: (told: Told) => void,
): Promise<void> {
  const run = { path: kind.name, seed };
  await using stage = await openStage(kind, seed, plan.congestion);
  openStages.add(stage);
  const steps: (readonly [name: string, run: () => Promise<void>])[] = [
    ...plan.transfers.map(
      (one) =>
        [
          one.name,
          async () => {
            const done = await transfer(stage, one, plan.bytes, plan.limit);
            const { down } = await stage.path.counters();
            const megabits = (done.bytes * 8) / done.seconds / 1e6;
            tell({ event: 'transfer', ...run, name: one.name, megabits, down, ...done });
          },
        ] as const,
    ),
    ...plan.floods
      .filter((one) => one.path === kind.name)
      .map(
        (one) =>
          [
            one.name,
            async () =>
              tell({
                event: 'flood',
                ...run,
                name: one.name,
                ...(await flood(stage, one, plan.floodSeconds)),
              }),
          ] as const,
      ),
  ];
  tell({ event: 'probe', ...run, probe: await probe(stage) });
  for (const [name, step] of seed % 2 === 0 ? steps.reverse() : steps) {
    await stage.path.reset(seed);
    try {
      await step();
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      tell({ event: 'failed', ...run, name, error: text });
    }
  }
}
