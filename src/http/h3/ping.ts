import type { Timer } from '../../clock/clock.js';
import { BautaError } from '../../protocol/bauta-error.js';
import type { H3Session } from './session.js';

/** Between two looks at the statistics, in milliseconds. */
const FIRST_LOOK = 2;
const LONGEST_LOOK = 50;

/**
 * A round trip on a connection: sends a frame that means nothing, which the peer's QUIC has to acknowledge,
 * and waits for a packet. Resolves with milliseconds; rejects with `ERR_CONNECTION_LOST` or `ERR_ABORTED`.
 */
export function ping(session: H3Session, signal: AbortSignal): Promise<number> {
  const { clock, quic } = session;
  return new Promise((resolve, reject) => {
    let timer: Timer | undefined;
    let wait = FIRST_LOOK;
    let over = false;

    const finish = (settle: () => void): void => {
      if (over) return;
      over = true;
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
      settle();
    };
    const lost = (detail: string): void =>
      finish(() => reject(new BautaError('ERR_CONNECTION_LOST', { detail })));
    const aborted = (): void => finish(() => reject(new BautaError('ERR_ABORTED', { cause: signal.reason })));
    const look = async (received: number, sentAt: number): Promise<void> => {
      const now = (await quic.statistics()).packetsReceived;
      if (over) return;
      if (now > received) {
        const elapsed = clock.now() - sentAt;
        finish(() => resolve(elapsed));
        return;
      }
      timer = clock.setTimeout(() => again(received, sentAt), wait);
      wait = Math.min(LONGEST_LOOK, wait * 2);
    };
    const again = (received: number, sentAt: number): void => {
      look(received, sentAt).catch((error: unknown) => lost(String(error)));
    };
    const begin = async (): Promise<void> => {
      const { packetsReceived } = await quic.statistics();
      if (over) return;
      session.sendPadding();
      again(packetsReceived, clock.now());
    };

    if (signal.aborted) {
      aborted();
      return;
    }
    signal.addEventListener('abort', aborted, { once: true });
    session.closed.then((close) => lost(close.detail));
    begin().catch((error: unknown) => lost(String(error)));
  });
}
