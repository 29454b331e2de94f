import type { ByteEnd } from '../../http/tunnel-stream.js';
import type { ByteSplice } from '../../quic/byte-splice.js';
import type { TcpSocket } from '../../quic/tcp-socket.js';
import type { ByteSide } from './byte-side.js';

/** A side that speaks first may do so between the question and the engine's answer, hardly so often. */
const ATTEMPTS = 3;

/**
 * Asks the engine to move the bytes of a side, which has not been started, and those of what `far` gives. It refuses
 * where more of either is on its way to be told than was known; what `far` is asked for then is the next attempt.
 * False where it cannot be asked; otherwise `begun` is called once.
 */
export function askForSplice(
  side: ByteSide,
  far: () => TcpSocket | ByteEnd | undefined,
  begun: (splice: ByteSplice | undefined) => void,
): boolean {
  let left = ATTEMPTS;
  const ask = (): boolean => {
    left -= 1;
    const end = far();
    if (!end) return false;
    const told = (splice: ByteSplice | undefined): void => {
      if (splice || left === 0 || !ask()) begun(splice);
    };
    return side.splice?.(end, told) ?? false;
  };
  return ask();
}
