import { BautaError } from '../../protocol/bauta-error.js';
import type { SocketAddress } from '../../quic/address.js';
import { QuicConfigurationError } from '../../quic/engine.js';
import type { EngineThread } from '../../quic/engine-thread.js';
import { SecureConnectError, type SecureSocket } from '../../quic/secure-socket.js';
import type { TcpSocketHandler } from '../../quic/tcp-socket.js';
import type { ClientTls } from '../../quic/tls.js';
import { mapConnectError } from '../connect-failure.js';
import { checkClientTls } from './client-context.js';

export interface SecureDialOptions {
  readonly remote: SocketAddress;
  readonly tls: ClientTls;
  /** For TCP and TLS together, milliseconds. */
  readonly handshakeTimeout: number;
}

/**
 * As `connectTls`, in the engine. Nothing is told to `handler` in this turn of the event loop. Rejects with a
 * `BautaError`, leaving nothing behind.
 */
export async function dialSecure(
  { tcp }: Pick<EngineThread, 'tcp'>,
  options: SecureDialOptions,
  handler: TcpSocketHandler,
  signal: AbortSignal,
): Promise<SecureSocket> {
  if (signal.aborted) throw new BautaError('ERR_ABORTED', { cause: signal.reason });
  checkClientTls(options.tls);
  try {
    return await tcp.connectSecure(options, handler, signal);
  } catch (error) {
    if (signal.aborted) throw new BautaError('ERR_ABORTED', { cause: signal.reason });
    if (error instanceof SecureConnectError) throw mapConnectError(error);
    if (!(error instanceof QuicConfigurationError)) throw error;
    const code =
      options.tls.keyLogFile !== undefined && /key log/i.test(error.message)
        ? 'ERR_USAGE'
        : 'ERR_CERTIFICATE_FILE';
    throw new BautaError(code, { detail: error.message, cause: error });
  }
}
