import type { Clock } from '../../clock/clock.js';
import { systemRandom } from '../../clock/system-clock.js';
import { BautaError } from '../../protocol/bauta-error.js';
import type { SocketAddress } from '../../quic/address.js';
import { UdpOpenError, type UdpSockets } from '../../quic/udp-socket.js';
import { openTcpResponder, type TcpResponder } from './tcp-responder.js';
import { openUdpResponder, type UdpResponder } from './udp-responder.js';

/** The far end of a speed test: UDP and TCP on the same port of each address. */
export interface Responder extends AsyncDisposable {
  readonly addresses: readonly SocketAddress[];
}

export interface ResponderOptions {
  readonly sockets: UdpSockets;
  /** Literal addresses; those whose family this machine lacks are left out if another is there. */
  readonly addresses: readonly string[];
  /** 0 is any free one. */
  readonly port: number;
  readonly clock: Clock;
}

const ATTEMPTS = 20;

function errnoOf(error: unknown): string {
  if (error instanceof UdpOpenError) return error.errno;
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function listenError(error: unknown, { address, port }: SocketAddress): unknown {
  const errno = errnoOf(error);
  const detail = `${address} port ${port}: ${errno}`;
  if (errno === 'EADDRINUSE')
    return new BautaError('ERR_PORT_IN_USE', { detail, hint: 'Choose another port.' });
  if (errno === 'EADDRNOTAVAIL' || errno === 'EAFNOSUPPORT')
    return new BautaError('ERR_ADDRESS_UNAVAILABLE', { detail, hint: 'Choose another address.' });
  if (errno === 'EACCES' || errno === 'EPERM') return new BautaError('ERR_PORT_PRIVILEGE', { detail });
  return error;
}

type Pair = { readonly udp: UdpResponder; readonly tcp: TcpResponder };

async function openPair(options: ResponderOptions, local: SocketAddress): Promise<Pair> {
  const { clock, sockets } = options;
  for (let attempt = 1; ; attempt++) {
    const tcp = await openTcpResponder({ local, clock });
    const chosen = { address: local.address, port: tcp.localAddress.port };
    try {
      return { tcp, udp: await openUdpResponder({ sockets, local: chosen, clock, random: systemRandom }) };
    } catch (error) {
      await tcp.close();
      // A port that was free for TCP need not be for UDP.
      if (local.port !== 0 || errnoOf(error) !== 'EADDRINUSE' || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Rejects with `ERR_PORT_IN_USE`, `ERR_PORT_PRIVILEGE` or `ERR_ADDRESS_UNAVAILABLE`. */
export async function openResponder(options: ResponderOptions): Promise<Responder> {
  const pairs: Pair[] = [];
  let { port } = options;
  const close = async (): Promise<void> => {
    for (const { udp } of pairs) udp.close();
    await Promise.all(pairs.map(({ tcp }) => tcp.close()));
  };
  let missing: unknown;
  for (const address of options.addresses) {
    const local = { address, port };
    try {
      const pair = await openPair(options, local);
      pairs.push(pair);
      port = pair.tcp.localAddress.port;
    } catch (error) {
      missing = listenError(error, local);
      if (errnoOf(error) === 'EAFNOSUPPORT' || errnoOf(error) === 'EADDRNOTAVAIL') continue;
      await close();
      throw missing;
    }
  }
  if (pairs.length === 0) throw missing;
  return { addresses: pairs.map(({ tcp }) => tcp.localAddress), [Symbol.asyncDispose]: close };
}
