import { isIP } from 'node:net';
import {
  type SecureAccept,
  SecureConnectError,
  type SecureConnectOptions,
  type SecureListener,
  type SecureListenOptions,
  type SecureSocket,
  secureFailure,
} from '../secure-socket.js';
import { TcpOpenError, type TcpSocketHandler } from '../tcp-socket.js';
import type { NativeBinding, NativeTcpListenerGroup } from './binding.js';
import { type EngineContext, freeTcpNumber } from './context.js';
import { configure } from './endpoints.js';
import { errnoName, tcpProblem } from './errno.js';
import { nativeCertificate, pemBuffer } from './pem.js';
import { NativeSecureListener } from './secure-listener.js';
import { NativeSecureSocket } from './secure-socket.js';
import type { TcpGroupPlace } from './shard.js';

const defaults = { handshakeTimeout: 10_000, keepAlive: 60_000, backlog: 511 };

/** How many connections and handshakes there may be, with what holds where nothing is said. */
export function secureLimits(
  options: SecureListenOptions,
): Required<Pick<SecureListenOptions, 'maxHandshakes' | 'maxHandshakesPerAddress' | 'maxConnections'>> {
  const { maxHandshakes = 4_096, maxHandshakesPerAddress = 512, maxConnections = 65_536 } = options;
  return { maxHandshakes, maxHandshakesPerAddress, maxConnections };
}

/** `TcpSockets.connectSecure`. */
export async function connectSecure(
  context: EngineContext,
  options: SecureConnectOptions,
  handler: TcpSocketHandler,
  signal: AbortSignal,
): Promise<SecureSocket> {
  if (!context.open) throw new SecureConnectError({ kind: 'engine', reason: 'the engine is closed' });
  if (signal.aborted) throw new SecureConnectError({ kind: 'aborted' });
  const index = freeTcpNumber(context);
  const { remote, local, tls } = options;
  const { trust, serverName } = tls;
  context.submission.flush();
  configure(() =>
    context.native.connectSecure(index, {
      remote,
      ...(local && { local }),
      keepAlive: options.keepAlive ?? defaults.keepAlive,
      handshakeTimeout: options.handshakeTimeout ?? defaults.handshakeTimeout,
      serverName,
      alpn: tls.alpn,
      trust: trust.mode,
      ...(trust.mode === 'ca' && { ca: pemBuffer(trust.ca) }),
      ...(trust.mode === 'pin' && { pins: trust.pins }),
      ...(tls.certificate && { certificate: nativeCertificate(tls.certificate) }),
      ...(tls.keyLogFile !== undefined && { keyLogFile: tls.keyLogFile }),
    }),
  );
  return new Promise((resolve, reject) => {
    const aborted = (): void => socket.abandon('aborted', 'ECANCELED');
    const socket = new NativeSecureSocket(context, index, (error) => {
      signal.removeEventListener('abort', aborted);
      if (error) {
        reject(error instanceof TcpOpenError ? new SecureConnectError(secureFailure(error)) : error);
        return;
      }
      // RFC 6066 section 3: no literal address is sent, and no dot at the end.
      if (isIP(serverName) === 0) socket.serverName = serverName.replace(/\.$/, '');
      resolve(socket);
    });
    socket.handler = handler;
    context.tcpSockets.set(index, socket);
    context.hold(1);
    signal.addEventListener('abort', aborted);
  });
}

/** Opens the sockets of a listener, for so many engines; throws `TcpOpenError` or `QuicConfigurationError`. */
export function openTcpGroup(
  binding: NativeBinding,
  options: SecureListenOptions,
  shards: number,
): NativeTcpListenerGroup {
  const { local, dualStack = false, backlog = defaults.backlog, keepAlive = defaults.keepAlive } = options;
  const group = configure(() => new binding.TcpListenerGroup(local, dualStack, backlog, keepAlive, shards));
  if (group.errno === 0) return group;
  const errno = errnoName(group.errno);
  throw new TcpOpenError(tcpProblem(errno), errno);
}

/** `TcpSockets.listenSecure`, of one engine. */
export async function listenSecure(
  context: EngineContext,
  options: SecureListenOptions,
  accept: SecureAccept,
  place: TcpGroupPlace,
): Promise<SecureListener> {
  if (!context.open) throw new TcpOpenError('other', 'ECANCELED');
  const { tls, greeting } = options;
  const index = freeTcpNumber(context);
  context.submission.flush();
  configure(() =>
    context.native.listenSecure(
      index,
      {
        certificates: tls.certificates.map(nativeCertificate),
        alpn: tls.alpn,
        ...(tls.clientCertificates && { clientCa: pemBuffer(tls.clientCertificates.ca) }),
        clientCertificateRequired: tls.clientCertificates?.mode === 'required',
        ...(tls.keyLogFile !== undefined && { keyLogFile: tls.keyLogFile }),
        handshakeTimeout: options.handshakeTimeout ?? defaults.handshakeTimeout,
        ...secureLimits(options),
        ...(greeting && { greeting: { ...greeting, bytes: Buffer.from(greeting.bytes) } }),
      },
      place.group,
      place.index,
    ),
  );
  return new Promise((resolve, reject) => {
    const listener = new NativeSecureListener(context, index, accept, (error) => {
      if (error) reject(error);
      else resolve(listener);
    });
    context.tcpListeners.set(index, listener);
    context.hold(1);
  });
}

/** The same with a socket of its own. */
export async function listenSecureAlone(
  context: EngineContext,
  binding: NativeBinding,
  options: SecureListenOptions,
  accept: SecureAccept,
): Promise<SecureListener> {
  if (!context.open) throw new TcpOpenError('other', 'ECANCELED');
  const group = openTcpGroup(binding, options, 1);
  try {
    return await listenSecure(context, options, accept, { group, index: 0 });
  } finally {
    group.close();
  }
}
