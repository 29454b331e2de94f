import type { DatagramSplice, DatagramSpliceStatistics, TakeRest } from '../datagram-splice.js';
import type { EngineContext } from './context.js';
import { operation } from './records.js';

/** The face of a splice; it goes by its socket's number. */
export interface NativeSplice extends DatagramSplice {
  /** The engine holds back what comes, and all that came before has been told; false: it could not. */
  held(held: boolean): void;
  /** The socket's number is given back. */
  over(): void;
}

/** Most bytes of an unfinished capsule, and of what follows it, that go over: the longest and some more. */
const longestRest = 128 * 1024;

/** Datagrams of a connection that begin with this number. */
export function spliceSocket(
  context: EngineContext,
  socket: number,
  connection: number,
  number: number,
): NativeSplice {
  context.submission.streamCode(operation.prepareSplice, socket, connection, number);
  return begin(context, socket, () => {
    context.submission.simple(operation.startSplice, socket);
    return true;
  });
}

/** DATAGRAM capsules on a stream of this HTTP/2 session; on this TCP socket where the stream is 0. */
export function spliceCapsules(
  context: EngineContext,
  socket: number,
  near: number,
  stream: number,
  rest: TakeRest,
): NativeSplice {
  context.submission.stream(operation.prepareCapsules, socket, near, stream);
  return begin(context, socket, () => {
    const prefix = rest(longestRest);
    if (prefix) context.submission.record(operation.startSplice, socket, prefix);
    return prefix !== undefined;
  });
}

/**
 * Begins a splice in two steps: the engine holds back what comes from now on and says so behind the last thing
 * it told; by then this side has sent all that it was told, and `start` has the engine begin, or gives false.
 */
function begin(context: EngineContext, socket: number, start: () => boolean): NativeSplice {
  let running = true;
  let begun = false;
  let last: DatagramSpliceStatistics | undefined;
  const statistics = (): DatagramSpliceStatistics => last ?? context.native.spliceStatistics(socket);
  const stop = (): void => {
    if (!running || last) return;
    running = false;
    context.submission.simple(operation.stopSplice, socket);
  };
  return {
    calledOff: () => !running && !begun,
    statistics,
    stop,
    held(held) {
      begun = held && running && start();
      if (!begun) stop();
    },
    over() {
      last ??= statistics();
      running = false;
    },
  };
}
