import type { Clock } from '../../clock/clock.js';
import { lingerTime } from './hang-up.js';
import type { TcpConnection } from './tcp-connection.js';

/** What the peer may have on its way at a time; it is thrown away. */
const discardedAtOnce = 64 * 1024;

/** For the last of an answer that a slow reader has not had yet, milliseconds. */
export const lastAnswerTime = 20_000;

/** Ends this side of a connection, and lingers. */
export function endAndLinger(connection: TcpConnection, clock: Clock, time = lingerTime): void {
  connection.end();
  linger(connection, clock, time);
}

/** Ends a connection in the middle of something: the peer must not take that for a clean end. */
export function hangUpAndLinger(connection: TcpConnection, clock: Clock): void {
  connection.hangUp();
  linger(connection, clock, lingerTime);
}

/**
 * Takes a connection that this side has ended from its holder: what still comes is thrown away up to the peer's
 * end, or for `time` milliseconds from the last that went out, so that the kernel does not reset before the peer
 * has read everything.
 */
function linger(connection: TcpConnection, clock: Clock, time: number): void {
  const { socket } = connection;
  if (connection.over) return;
  let left = socket.buffered;
  const late = (): void => {
    if (socket.buffered === 0 || socket.buffered >= left) {
      connection.reset();
      return;
    }
    left = socket.buffered;
    timer = clock.setTimeout(late, time);
  };
  let timer = clock.setTimeout(late, time);
  connection.hold({
    data: (_bytes, start, end) => connection.grant(end - start),
    end: () => undefined,
    drain: () => undefined,
    closed: () => clock.clearTimeout(timer),
  });
  connection.grant(discardedAtOnce - connection.credit);
}
