import { script, startIn } from './namespace-program.js';
import { farAddress, type Stage } from './stage.js';

/** Round trips of the path alone, milliseconds, and how many of the datagrams came back. */
export interface Probe {
  readonly sent: number;
  readonly answered: number;
  readonly min: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export async function probe(stage: Stage, count = 400): Promise<Probe> {
  const command = script('near-udp-process.js', 'probe', farAddress, `${stage.ports.echo}`, `${count}`);
  const program = startIn(stage.path.near, command);
  try {
    return (await program.next(60 + count / 50)) as unknown as Probe;
  } finally {
    await program.stop();
  }
}
