import type { DatagramSplice, DatagramSpliceStatistics } from '../datagram-splice.js';
import type { EngineContext } from './context.js';
import { operation } from './records.js';

/** The face of a splice between two connections. */
export interface NativeJoin extends DatagramSplice {
  /** Both connections hold back what comes, as for a socket's splice; false: they do not, or no longer. */
  held(held: boolean): void;
}

const lastJoin = 2 ** 32 - 1;

/** The number of a new join, which none of these has. */
export function takeJoin(context: EngineContext, taken: ReadonlyMap<number, unknown>): number {
  while (taken.has(context.nextJoin)) context.nextJoin = (context.nextJoin + 1) % lastJoin;
  const id = context.nextJoin;
  context.nextJoin = (id + 1) % lastJoin;
  return id;
}

export function joinConnections(
  context: EngineContext,
  near: number,
  nearNumber: number,
  far: number,
  farNumber: number,
): NativeJoin {
  const id = takeJoin(context, context.joins);
  let last: DatagramSpliceStatistics | undefined;
  let stopped = false;
  let begun = false;
  const join: NativeJoin = {
    calledOff: () => stopped && !begun,
    statistics: () => last ?? context.native.joinStatistics(id),
    stop() {
      if (stopped) return;
      stopped = true;
      context.submission.simple(operation.stopJoin, id);
    },
    held(held) {
      if (held) {
        begun = !stopped;
        if (begun) context.submission.simple(operation.startJoin, id);
        return;
      }
      stopped = true;
      last = context.native.joinStatistics(id);
      context.native.forgetJoin(id);
      context.joins.delete(id);
    },
  };
  context.joins.set(id, join);
  context.submission.flush();
  context.native.prepareJoin(id, near, nearNumber, far, farNumber);
  return join;
}
