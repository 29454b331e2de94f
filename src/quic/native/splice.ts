import type { DatagramSplice, DatagramSpliceStatistics } from '../datagram-splice.js';
import type { EngineContext } from './context.js';
import { operation } from './records.js';

/** The face of a splice; it goes by its socket's number. */
export interface NativeSplice extends DatagramSplice {
  /** The engine holds back what comes, and all that came before has been told; false: it could not. */
  held(held: boolean): void;
  /** The socket's number is given back. */
  over(): void;
}

/**
 * Begins a splice in two steps: the engine holds back what comes from now on and says so behind the last thing
 * it told; by then this side has sent all that it was told, and the engine may begin.
 */
export function spliceSocket(
  context: EngineContext,
  socket: number,
  connection: number,
  number: number,
): NativeSplice {
  let running = true;
  let last: DatagramSpliceStatistics | undefined;
  context.submission.streamCode(operation.prepareSplice, socket, connection, number);
  const statistics = (): DatagramSpliceStatistics => last ?? context.native.spliceStatistics(socket);
  return {
    statistics,
    stop() {
      if (!running || last) return;
      running = false;
      context.submission.simple(operation.stopSplice, socket);
    },
    held(held) {
      if (!held) running = false;
      if (running) context.submission.simple(operation.startSplice, socket);
    },
    over() {
      last ??= statistics();
      running = false;
    },
  };
}
