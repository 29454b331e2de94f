import { isIP } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { ByteDuplex } from '../tunnel/tcp/byte-duplex.js';

/** How long the target may take to end its side once this side has ended, milliseconds. */
const LINGER = 2_000;

/** TLS destroys what it stands on as soon as its own end is written; that must not overtake the end itself. */
function endInOrder(tunnel: ByteDuplex): void {
  const destroy = tunnel.destroy.bind(tunnel);
  tunnel.destroy = (error) => {
    if (error || !tunnel.writableEnded || tunnel.readableEnded) return destroy(error);
    tunnel.setTimeout(LINGER, () => destroy());
    return tunnel.resume();
  };
}

/**
 * TLS with the target inside a tunnel, which need not be open yet; Node checks the certificate as it does on any connection. Resolves when
 * the handshake is done; rejects with Node's error, or the tunnel's, and leaves nothing behind.
 */
export function tlsOverTunnel(
  tunnel: ByteDuplex,
  host: string,
  options: ConnectionOptions,
  signal: AbortSignal,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    endInOrder(tunnel);
    const socket = connect({
      ...options,
      // RFC 6066 section 3: no literal address.
      servername: options.servername ?? (isIP(host) === 0 ? host : ''),
      host,
      socket: tunnel,
    });
    const settle = (then: () => void): void => {
      signal.removeEventListener('abort', abort);
      socket.off('error', failed);
      socket.off('close', closed);
      socket.off('secureConnect', secured);
      then();
    };
    const fail = (error: unknown): void =>
      settle(() => {
        socket.on('error', () => undefined);
        socket.destroy();
        tunnel.resetAndDestroy();
        reject(error);
      });
    const failed = (error: Error): void => fail(tunnel.errored ?? error);
    const closed = (): void =>
      fail(tunnel.errored ?? new Error('the connection was closed in the TLS handshake'));
    const abort = (): void => fail(signal.reason);
    const secured = (): void => settle(() => resolve(socket));
    // A reset of the tunnel is an error of the connection that stands on it.
    tunnel.on('error', (error) => socket.destroy(error));
    socket.on('error', failed);
    socket.on('close', closed);
    socket.on('secureConnect', secured);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    // TLS over a stream that is no `net.Socket` has no handle that these could reach.
    Object.assign(socket, {
      ref() {
        tunnel.ref();
        return socket;
      },
      unref() {
        tunnel.unref();
        return socket;
      },
    });
  });
}
