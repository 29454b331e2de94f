import { SecureConnectError } from '../../src/quic/secure-socket.js';
import { TcpOpenError, type TcpSockets } from '../../src/quic/tcp-socket.js';

/** A machine whose TCP reaches nobody. */
export const noTcp: TcpSockets = {
  connect: () => Promise.reject(new TcpOpenError('network-unreachable', 'ENETUNREACH')),
  listen: () => Promise.reject(new TcpOpenError('denied', 'EACCES')),
  connectSecure: () => Promise.reject(new SecureConnectError({ kind: 'unreachable', errno: 'ENETUNREACH' })),
  listenSecure: () => Promise.reject(new TcpOpenError('denied', 'EACCES')),
};
