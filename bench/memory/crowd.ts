import { setMaxListeners } from 'node:events';
import type { RequestHead } from '../../src/http/request.js';
import {
  createHttpDriver,
  createNativeEngine,
  dialOwner,
  type Owner,
  systemClock,
  type UpstreamTarget,
} from '../../src/upstream/index.js';
import { createOpening } from '../upstream/openers.js';

/** Tunnels and connections that are opened and left alone. */
export interface Crowd {
  /** Connections more, without tunnels. */
  connect(count: number): Promise<void>;
  /** Tunnels more, spread over the connections. */
  open(head: RequestHead, count: number): Promise<void>;
  /** The tunnels are ended; the connections stay. */
  end(): Promise<void>;
  close(): Promise<void>;
}

const AT_ONCE = 32;

/** Does `count` of something, some at once. */
async function many(count: number, one: (at: number) => Promise<void>): Promise<void> {
  let begun = 0;
  const lane = async (): Promise<void> => {
    while (begun < count) await one(begun++);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, lane));
}

export function createCrowd(target: UpstreamTarget): Crowd {
  const engine = createNativeEngine();
  const driver = createHttpDriver({ clock: systemClock, engine: () => engine, resolve: async () => [] });
  const never = new AbortController().signal;
  setMaxListeners(0, never);
  const owners: Owner[] = [];
  let tunnels: (() => Promise<void>)[] = [];
  return {
    connect: (count) =>
      many(count, async () => {
        const result = await dialOwner(driver, target, { clock: systemClock, tag: 'crowd' }, never);
        if (result.kind === 'failed') throw result.error;
        owners.push(result.owner);
      }),
    open: (head, count) =>
      many(count, async (at) => {
        const owner = owners[at % owners.length];
        if (!owner) throw new Error('there is no connection');
        const { session, open, closed } = createOpening();
        await owner.acquireStream(head, session);
        const { stream } = await open;
        tunnels.push(async () => {
          stream.end();
          await closed;
        });
      }),
    async end() {
      const open = tunnels;
      tunnels = [];
      await many(open.length, (at) => open[at]?.() ?? Promise.resolve());
    },
    async close() {
      await Promise.all(owners.map((owner) => owner.stop()));
      await engine.close();
    },
  };
}
