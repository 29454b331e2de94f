import type { Clock } from '../clock/clock.js';
import type { HttpAccept } from '../http/connection.js';
import { acceptH3, H3_FIRST_CREDIT, h3Greeting } from '../http/h3/server.js';
import { tunnelTransport } from '../http/h3/tunnel-transport.js';
import { listenTcp, type TcpListener } from '../http/tcp/listener.js';
import type { QuicEngine, QuicListener } from '../quic/engine.js';
import type { CertificateAndKey, ServerTls } from '../quic/tls.js';
import type { ListeningAddress } from './events.js';
import { type BindAddress, bindAddresses } from './listen-address.js';
import { isErrno, listenError } from './listen-error.js';

/** Everything that accepts connections for a proxy. */
export interface Listeners {
  readonly addresses: readonly ListeningAddress[];
  /** Threads that QUIC connections are spread over, of the listener that has fewest. */
  readonly shards: number;
  /** Throws `BautaError` ERR_CERTIFICATE_FILE; what was in use stays in use then. */
  setCertificates(certificates: readonly CertificateAndKey[]): void;
  stopAccepting(): void;
  close(): Promise<void>;
}

export interface ListenersOptions {
  readonly engine: QuicEngine;
  readonly clock: Clock;
  readonly listen: readonly string[];
  readonly certificates: readonly CertificateAndKey[];
  readonly keyLogFile: string | undefined;
  readonly secret: Uint8Array | undefined;
}

interface Pair {
  readonly quic: QuicListener;
  readonly tcp: TcpListener;
}

/** Attempts to find a port that is free for UDP and for TCP, when any will do. */
const ANY_PORT_ATTEMPTS = 16;
/** PINGs on a quiet connection, milliseconds; common clients give up after 30,000. */
const KEEP_ALIVE = 12_000;
/** Seconds for which a client may remember that HTTP/3 is here (RFC 7838 section 3.1). */
const ALT_SVC_AGE = 86_400;

/** Opens HTTP/3 over QUIC, and HTTP/2 and HTTP/1.1 over TCP, on each address. Rejects with `BautaError`. */
export async function openListeners(options: ListenersOptions, accept: HttpAccept): Promise<Listeners> {
  const pairs: Pair[] = [];
  const closeAll = async (): Promise<void> => {
    await Promise.all(pairs.flatMap(({ quic, tcp }) => [quic.close(0x100, ''), tcp.close()]));
  };
  try {
    for (const listen of options.listen) {
      let port: number | undefined;
      for (const bind of await bindAddresses(listen)) {
        // One free port for both halves of `localhost:0`.
        const wanted = port === undefined ? bind : { ...bind, port };
        const pair = await openPair(options, wanted, accept, bind.port === 0 && port === undefined);
        if (!pair) continue;
        pairs.push(pair);
        port = pair.quic.localAddress.port;
      }
    }
  } catch (error) {
    await closeAll();
    throw error;
  }

  return {
    addresses: pairs.flatMap(({ quic, tcp }): ListeningAddress[] => [
      { transport: 'udp', ...quic.localAddress },
      { transport: 'tcp', ...tcp.localAddress },
    ]),
    shards: Math.min(...pairs.map(({ quic }) => quic.shards ?? 1)),
    setCertificates(certificates) {
      try {
        for (const { quic, tcp } of pairs) {
          quic.setCertificates(certificates);
          tcp.setCertificates(certificates);
        }
      } catch (error) {
        throw listenError(error, 'the new certificate');
      }
    },
    stopAccepting() {
      for (const { quic, tcp } of pairs) {
        quic.stopAccepting();
        tcp.stopAccepting();
      }
    },
    close: closeAll,
  };
}

/** One address for both transports; undefined when the machine lacks an address that may be lacking. */
async function openPair(
  options: ListenersOptions,
  bind: BindAddress,
  accept: HttpAccept,
  anyPort: boolean,
): Promise<Pair | undefined> {
  for (let attempt = 1; ; attempt++) {
    let quic: QuicListener | undefined;
    try {
      quic = await openQuic(options, bind, accept);
      const tcp = await openTcp(options, { ...bind, port: quic.localAddress.port }, accept);
      return { quic, tcp };
    } catch (error) {
      await quic?.close(0x100, '');
      const taken = quic !== undefined && isErrno(error, 'EADDRINUSE');
      if (anyPort && taken && attempt < ANY_PORT_ATTEMPTS) continue;
      const lacking = isErrno(error, 'EADDRNOTAVAIL') || isErrno(error, 'EAFNOSUPPORT');
      if (bind.optional && lacking) return undefined;
      // A machine without IPv6 has IPv4 all the same.
      if (bind.dualStack && lacking) {
        return openPair(options, { ...bind, address: '0.0.0.0', dualStack: false }, accept, anyPort);
      }
      const network = quic === undefined ? 'UDP' : 'TCP';
      throw listenError(error, `${network} port ${quic?.localAddress.port ?? bind.port} of ${bind.address}`);
    }
  }
}

const serverTls = (options: ListenersOptions, alpn: readonly string[]): ServerTls => ({
  certificates: options.certificates,
  alpn,
  ...(options.keyLogFile === undefined ? {} : { keyLogFile: options.keyLogFile }),
});

function openQuic(options: ListenersOptions, bind: BindAddress, accept: HttpAccept): Promise<QuicListener> {
  return options.engine.listen(
    {
      local: { address: bind.address, port: bind.port },
      dualStack: bind.dualStack,
      tls: serverTls(options, ['h3']),
      // A tunnel may be quiet for longer than a connection (RFC 9298 section 3.1).
      transport: { ...tunnelTransport, keepAlive: KEEP_ALIVE },
      greeting: h3Greeting(),
      firstCredit: H3_FIRST_CREDIT,
      ...(options.secret === undefined ? {} : { secret: options.secret }),
    },
    acceptH3({ clock: options.clock }, accept),
  );
}

function openTcp(options: ListenersOptions, bind: BindAddress, accept: HttpAccept): Promise<TcpListener> {
  let last = 0;
  return listenTcp(
    {
      engine: options.engine,
      local: { address: bind.address, port: bind.port },
      dualStack: bind.dualStack,
      tls: serverTls(options, ['h2', 'http/1.1']),
      clock: options.clock,
      nextConnectionId: () => ++last,
      altSvc: `h3=":${bind.port}"; ma=${ALT_SVC_AGE}`,
    },
    accept,
  );
}
