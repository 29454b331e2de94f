import { SecureConnectError } from '../../src/quic/secure-socket.js';
import { TcpOpenError, type TcpProblem, type TcpSockets } from '../../src/quic/tcp-socket.js';
import { serverPair } from './pair.js';
import type { TcpWorld } from './tcp-world.js';

/** The same world with TLS on each connection: what holds for TCP holds for it too. */
export function overTls(world: TcpWorld): TcpWorld {
  return { ...world, client: secured(world.client), server: secured(world.server) };
}

const problems: Readonly<Record<string, TcpProblem>> = { ECONNREFUSED: 'refused', ECONNRESET: 'reset' };

/** A failure as a plain connection would have it. */
function plainly(error: unknown): unknown {
  if (!(error instanceof SecureConnectError)) return error;
  const { failure } = error;
  switch (failure.kind) {
    case 'aborted':
      return new TcpOpenError('aborted', 'ECANCELED');
    case 'timeout':
      return new TcpOpenError('timeout', 'ETIMEDOUT');
    case 'unreachable':
      return new TcpOpenError(problems[failure.errno] ?? 'other', failure.errno);
    case 'engine':
      return new TcpOpenError('other', 'ECANCELED');
    default:
      return error;
  }
}

export function secured(sockets: TcpSockets): TcpSockets {
  return {
    ...sockets,
    connect({ connectTimeout, ...options }, handler, signal) {
      const tls = {
        serverName: 'localhost',
        alpn: ['test'],
        trust: { mode: 'ca', ca: serverPair.cert },
      } as const;
      const timeout = connectTimeout === undefined ? {} : { handshakeTimeout: connectTimeout };
      return sockets.connectSecure({ ...options, ...timeout, tls }, handler, signal).catch((error) => {
        throw plainly(error);
      });
    },
    listen: (options, accept) =>
      sockets.listenSecure({ ...options, tls: { certificates: [serverPair], alpn: ['test'] } }, accept),
  };
}
