import { once } from 'node:events';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

export const [SENT, RETRIES, ANSWERED] = [0, 1, 2];

export interface FloodSettings {
  readonly port: number;
  readonly honest: boolean;
  readonly counts: Int32Array;
}

export interface FloodOrder {
  readonly count: number;
}

export interface InitialFlood {
  /** Sends that many first packets of as many handshakes, a few at a time. */
  send(count: number): Promise<void>;
  readonly sent: number;
  readonly retries: number;
  readonly answered: number;
}

/**
 * Begins handshakes and never goes on; with `honest` it proves its address when it is asked to. Its packets are made
 * in a thread of its own: they take more time than the proxy needs for them.
 */
export async function createInitialFlood(port: number, honest: boolean): Promise<InitialFlood> {
  const counts = new Int32Array(new SharedArrayBuffer(12));
  const worker = new Worker(fileURLToPath(new URL('./flood-worker.js', import.meta.url)), {
    workerData: { port, honest, counts } satisfies FloodSettings,
  });
  after(async () => {
    await worker.terminate();
  });
  await once(worker, 'message');
  return {
    async send(count) {
      const done = once(worker, 'message');
      worker.postMessage({ count } satisfies FloodOrder);
      await done;
    },
    get sent() {
      return counts[SENT] ?? 0;
    },
    get retries() {
      return counts[RETRIES] ?? 0;
    },
    get answered() {
      return counts[ANSWERED] ?? 0;
    },
  };
}
