import type { Clock } from '../../clock/clock.js';
import { BautaError } from '../../protocol/bauta-error.js';
import type { SocketAddress } from '../../quic/address.js';
import type { EngineThread } from '../../quic/engine-thread.js';
import type { TcpSocketHandler } from '../../quic/tcp-socket.js';
import type { ClientTls } from '../../quic/tls.js';
import type { ConnectionClose, HttpClientConnection, HttpClientConnectionHandler } from '../connection.js';
import type { Carrier } from '../tcp/carrier.js';
import { createWriteMemory } from '../tcp/slab-writer.js';
import { connectTls } from '../tls/connect.js';
import { dialSecure } from '../tls/dial-secure.js';
import { carryTls } from '../tls/tls-carrier.js';
import { type H2Client, startH2Client } from './client.js';
import { clientLimits, type H2Limits } from './limits.js';
import type { SessionCarrier } from './open-session.js';

export interface DialOptions {
  readonly remote: SocketAddress;
  readonly tls: ClientTls;
  readonly clock: Clock;
  /** An open way to the server, instead of a TCP connection to `remote`. */
  readonly carrier?: Carrier;
  /** Milliseconds; default 10,000. */
  readonly handshakeTimeout?: number;
  readonly limits?: Partial<H2Limits>;
}

/** A connection with TLS, from which nothing was read yet. */
interface Way {
  readonly carrier: SessionCarrier;
  readonly alpn: string | undefined;
  readonly holdProcess?: (hold: boolean) => void;
  attach(handler: TcpSocketHandler): void;
}

/**
 * Opens an HTTP/2 connection; resolves once the peer's SETTINGS came. TLS is the engine's, and without an engine, or
 * on a carrier, Node's. Rejects with a `BautaError`, leaving nothing behind.
 */
export async function dialH2(
  engine: Pick<EngineThread, 'tcp'> | undefined,
  options: DialOptions,
  handler: HttpClientConnectionHandler,
  signal: AbortSignal,
): Promise<HttpClientConnection> {
  const { clock, remote, handshakeTimeout = 10_000 } = options;
  const limits: H2Limits = { ...clientLimits, ...options.limits };
  const deadline = clock.now() + handshakeTimeout;
  const dialled = { ...options, tls: { ...options.tls, alpn: ['h2'] }, handshakeTimeout };
  const way =
    engine && !options.carrier ? await engineWay(engine, dialled, signal) : await nodeWay(dialled, signal);
  if (way.alpn !== 'h2') {
    way.carrier.reset();
    throw new BautaError('ERR_TLS', { detail: 'the server does not offer HTTP/2' });
  }
  return new Promise((resolve, reject) => {
    let client: H2Client | undefined;
    const settle = (then: () => void): void => {
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      then();
    };
    const stop = (error: BautaError): void => {
      client?.abort();
      settle(() => reject(error));
    };
    const onAbort = (): void => stop(new BautaError('ERR_ABORTED', { cause: signal.reason }));
    const timer = clock.setTimeout(
      () => stop(new BautaError('ERR_PROXY_TIMEOUT', { detail: 'waiting for the HTTP/2 settings' })),
      Math.max(0, deadline - clock.now()),
    );
    signal.addEventListener('abort', onAbort, { once: true });
    const { holdProcess } = way;
    const started = startH2Client(
      way.carrier,
      { remoteAddress: remote, clock, limits, ...(holdProcess && { holdProcess }) },
      handler,
      (close) => {
        if (close) stop(noConnection(close));
        else settle(() => resolve(started.connection));
      },
    );
    client = started;
    way.attach(started.socketHandler);
    if (signal.aborted) onAbort();
  });
}

type Dialled = DialOptions & { readonly handshakeTimeout: number };

async function engineWay(
  engine: Pick<EngineThread, 'tcp'>,
  { remote, tls, handshakeTimeout }: Dialled,
  signal: AbortSignal,
): Promise<Way> {
  let target: TcpSocketHandler | undefined;
  const socket = await dialSecure(
    engine,
    { remote, tls, handshakeTimeout },
    {
      data: (bytes, start, end) => target?.data(bytes, start, end),
      end: (truncated) => target?.end(truncated),
      drain: () => target?.drain(),
      closed: (end) => target?.closed(end),
    },
    signal,
  );
  return {
    carrier: socket,
    alpn: socket.alpn,
    attach(handler) {
      target = handler;
    },
  };
}

async function nodeWay(options: Dialled, signal: AbortSignal): Promise<Way> {
  const { carrier, clock, remote, tls, handshakeTimeout } = options;
  const { socket, raw, alpn } = await connectTls(
    { remote, tls, clock, handshakeTimeout, ...(carrier ? { carrier } : {}) },
    signal,
  );
  const carried = carryTls(socket, raw, clock, createWriteMemory(4));
  return {
    carrier: carried,
    alpn: alpn || undefined,
    attach: carried.attach,
    holdProcess(hold) {
      if (hold) raw.ref();
      else raw.unref();
    },
  };
}

/** Why there are no SETTINGS. */
function noConnection(close: ConnectionClose): BautaError {
  // What came is no HTTP/2, as against nothing that came.
  const code = close.reason === 'protocol-error' ? 'ERR_PROXY_PROTOCOL' : 'ERR_PROXY_UNREACHABLE';
  const cause = new Error(close.detail);
  return new BautaError(code, { detail: 'closed before the HTTP/2 settings', cause });
}
