import { isIP, Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { Clock } from '../../clock/clock.js';
import { BautaError } from '../../protocol/bauta-error.js';
import type { SocketAddress } from '../../quic/address.js';
import type { ClientTls } from '../../quic/tls.js';
import type { Carrier } from '../tcp/carrier.js';
import { certificateError } from './certificate-failure.js';
import { type ClientContext, createClientContext } from './client-context.js';
import { type KeyLog, logKeys, openKeyLog } from './key-log.js';
import { judgeServer } from './server-verdict.js';

export interface TlsConnectOptions {
  readonly remote: SocketAddress;
  readonly tls: ClientTls;
  /** An open way to the server; without one a TCP connection is made. It ends with what is made of it. */
  readonly carrier?: Carrier;
  /** For TCP and TLS together, milliseconds. */
  readonly handshakeTimeout: number;
  readonly clock: Clock;
  /** Made from the same `tls` before; saves its making. */
  readonly context?: ClientContext;
}

export interface TlsConnection {
  readonly socket: TLSSocket;
  /** What is below: `raw.resetAndDestroy()` is the only way to abort (a TLS socket cannot reset). */
  readonly raw: Carrier;
  /** The protocol agreed on by ALPN; false if the server chose none. */
  readonly alpn: string | false;
}

/**
 * Opens a TCP connection with TLS, or TLS over a carrier, to a server that has passed the check of its certificate; nothing of the
 * application can be sent before. Both directions may be ended on their own. Sessions are not resumed: a
 * resumed one would skip the check. Rejects with a `BautaError`, leaving nothing behind.
 */
export async function connectTls(options: TlsConnectOptions, signal: AbortSignal): Promise<TlsConnection> {
  const { carrier } = options;
  try {
    if (signal.aborted) throw aborted(signal);
    const context = options.context ?? (await createClientContext(options.tls));
    if (signal.aborted) throw aborted(signal);
    return await open(options, context, keyLogOf(options.tls), signal);
  } catch (error) {
    carrier?.destroy();
    throw error;
  }
}

function open(
  options: TlsConnectOptions,
  context: ClientContext,
  keyLog: KeyLog | undefined,
  signal: AbortSignal,
): Promise<TlsConnection> {
  const { remote, tls, clock } = options;
  return new Promise((resolve, reject) => {
    const raw: Carrier = options.carrier ?? new Socket({ allowHalfOpen: true });
    let socket: TLSSocket | undefined;
    let settled = false;
    const settle = (): boolean => {
      if (settled) return false;
      settled = true;
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      return true;
    };
    const fail = (error: BautaError): void => {
      if (!settle()) return;
      socket?.destroy();
      raw.destroy();
      if (!socket) keyLog?.close();
      reject(error);
    };
    const abort = (): void => fail(aborted(signal));
    const timer = clock.setTimeout(() => {
      fail(
        new BautaError('ERR_PROXY_TIMEOUT', {
          detail: socket ? 'in the TLS handshake' : 'in the TCP handshake',
        }),
      );
    }, options.handshakeTimeout);
    signal.addEventListener('abort', abort, { once: true });

    // These listeners stay, so that an error between this and the caller's own listener harms nobody.
    raw.on('error', (error) => fail(socket ? tlsError(error) : tcpError(error)));
    const secure = (): void => {
      if (settled) return;
      const secured = connect({
        socket: raw,
        secureContext: context.secureContext,
        // RFC 6066 section 3: no literal address, and no dot at the end.
        servername: isIP(tls.serverName) === 0 ? tls.serverName.replace(/\.$/, '') : '',
        ALPNProtocols: [...tls.alpn],
        // The verdict below decides, on every handshake.
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
      });
      socket = secured;
      if (keyLog) logKeys(secured, keyLog);
      secured.on('error', (error) => fail(tlsError(error)));
      secured.once('close', () => fail(tlsError(undefined)));
      secured.once('secureConnect', () => {
        const refusal = judgeServer(secured, tls, context.anchors);
        if (refusal) fail(certificateError(refusal));
        else if (settle()) resolve({ socket: secured, raw, alpn: secured.alpnProtocol || false });
      });
    };
    if (raw instanceof Socket) {
      raw.once('connect', () => {
        raw.setNoDelay(true);
        secure();
      });
      raw.connect({ host: remote.address, port: remote.port });
    } else secure();
  });
}

function keyLogOf(tls: ClientTls): KeyLog | undefined {
  try {
    return tls.keyLogFile === undefined ? undefined : openKeyLog(tls.keyLogFile);
  } catch (error) {
    throw new BautaError('ERR_USAGE', { detail: (error as Error).message, cause: error });
  }
}

function aborted(signal: AbortSignal): BautaError {
  return new BautaError('ERR_ABORTED', { cause: signal.reason });
}

function tcpError(error: NodeJS.ErrnoException): BautaError {
  // A carrier's own.
  if (error instanceof BautaError) return error;
  const detail = error.code ?? error.message;
  const code = error.code === 'ETIMEDOUT' ? 'ERR_PROXY_TIMEOUT' : 'ERR_PROXY_UNREACHABLE';
  return new BautaError(code, { detail, cause: error });
}

/** OpenSSL puts its plain words into `reason`. */
function tlsError(error: (NodeJS.ErrnoException & { reason?: string }) | undefined): BautaError {
  if (error instanceof BautaError) return error;
  if (!error || error.code === 'ECONNRESET') {
    return new BautaError('ERR_TLS', { detail: 'the connection was closed in the handshake', cause: error });
  }
  return new BautaError('ERR_TLS', { detail: error.reason ?? error.code ?? error.message, cause: error });
}
