import { BautaError } from '../protocol/bauta-error.js';
import type { ErrorCode } from '../protocol/failures.js';
import { formatHostPort } from '../protocol/target.js';
import type { SocketAddress } from '../quic/address.js';
import { TcpOpenError } from '../quic/tcp-socket.js';
import { UdpOpenError } from '../quic/udp-socket.js';
import { dialError } from './dial-failure.js';

const codes: Readonly<Record<string, ErrorCode>> = {
  EADDRINUSE: 'ERR_PORT_IN_USE',
  EACCES: 'ERR_PORT_PRIVILEGE',
  EPERM: 'ERR_PORT_PRIVILEGE',
  EADDRNOTAVAIL: 'ERR_ADDRESS_UNAVAILABLE',
  EAFNOSUPPORT: 'ERR_ADDRESS_UNAVAILABLE',
};

const hints: Readonly<Partial<Record<ErrorCode, string>>> = {
  ERR_PORT_IN_USE: 'Choose another port, or 0 for any that is free.',
  ERR_ADDRESS_UNAVAILABLE: 'Choose an address of this machine, 127.0.0.1 for one.',
};

/** What a failure to listen on a local address is called in the error table. */
export function listenError(error: unknown, local: SocketAddress): BautaError {
  if (!(error instanceof UdpOpenError) && !(error instanceof TcpOpenError)) return dialError(error);
  const code = codes[error.errno] ?? 'ERR_ADDRESS_UNAVAILABLE';
  const hint = hints[code];
  return new BautaError(code, {
    detail: `${formatHostPort(local.address, local.port)}: ${error.errno}`,
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}
