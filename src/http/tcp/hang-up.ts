import type { TLSSocket } from 'node:tls';
import type { Clock } from '../../clock/clock.js';
import type { Carrier } from './carrier.js';

/** How long a connection that this side ended waits for the peer's end, milliseconds. */
export const lingerTime = 2_000;

/** After this side's end: reads on to the peer's, or for a while, so that the kernel does not reset. */
export function linger(socket: TLSSocket, raw: Carrier, clock: Clock): void {
  const timer = clock.setTimeout(() => raw.destroy(), lingerTime);
  socket.on('close', () => clock.clearTimeout(timer));
  socket.on('end', () => raw.destroy());
  socket.resume();
  if (socket.readableEnded) raw.destroy();
}

/** Ends a connection in the middle of a tunnel: a FIN without close_notify, which is no clean end. */
export function hangUp(socket: TLSSocket, raw: Carrier, clock: Clock): void {
  if (raw.destroyed) return;
  // The FIN is out already, as this direction's clean end; only a reset says more.
  if (socket.writableEnded) {
    resetSocket(socket, raw, clock);
    return;
  }
  raw.end();
  linger(socket, raw, clock);
}

/**
 * Aborts a connection with a TCP reset: at once, but behind a TLS shutdown that has begun, for which there is a
 * time limit. Node's process never exits (it spins in its clean-up) once a socket was destroyed under one.
 */
export function resetSocket(socket: TLSSocket, raw: Carrier, clock: Clock): void {
  if (!socket.writableEnded || socket.writableFinished) {
    raw.resetAndDestroy();
    return;
  }
  const reset = (): void => {
    clock.clearTimeout(timer);
    raw.resetAndDestroy();
  };
  const timer = clock.setTimeout(reset, lingerTime);
  socket.once('finish', reset);
}
