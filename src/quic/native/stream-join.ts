import type { ByteSplice, ByteSpliceStatistics } from '../byte-splice.js';
import type { NativeStreamToJoin } from './binding.js';
import type { EngineContext } from './context.js';
import { takeJoin } from './join.js';

/** The face of two streams whose bytes are each other's. */
export interface NativeStreamJoin extends ByteSplice {
  /** Whether the engine moves the bytes. */
  begun(moves: boolean): void;
  /** One of the streams is over. Idempotent. */
  over(): void;
}

/** Asks the engine; `told` hears what comes of it, once, unless a stream is over before. */
export function joinStreams(
  context: EngineContext,
  near: NativeStreamToJoin,
  far: NativeStreamToJoin,
  told: (splice: ByteSplice | undefined) => void,
): NativeStreamJoin {
  const { native, streamJoins } = context;
  const id = takeJoin(context, streamJoins);
  let last: ByteSpliceStatistics | undefined;
  let waiting = true;
  const join: NativeStreamJoin = {
    statistics: () => last ?? native.streamJoinStatistics(id),
    begun(moves) {
      if (!waiting) return;
      waiting = false;
      if (!moves) join.over();
      told(moves ? join : undefined);
    },
    over() {
      if (last) return;
      last = native.streamJoinStatistics(id);
      native.forgetStreamJoin(id);
      streamJoins.delete(id);
      join.begun(false);
    },
  };
  streamJoins.set(id, join);
  // What was written before goes first.
  context.submission.flush();
  native.joinStreams(id, near, far);
  return join;
}
