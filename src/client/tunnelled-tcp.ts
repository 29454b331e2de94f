import type { Clock } from '../clock/clock.js';
import type { HttpClientConnection } from '../http/connection.js';
import { dialH1 } from '../http/h1/dial.js';
import { dialH2 } from '../http/h2/dial.js';
import { BautaError } from '../protocol/bauta-error.js';
import { createHttpTransport } from '../upstream/http-transport.js';
import { alpnOf, type UpstreamTarget } from '../upstream/target.js';
import type { TransportConnection } from '../upstream/transport.js';
import type { TcpTunnels } from './tcp-tunnels.js';
import type { TunnelEnd } from './tunnel-end.js';

export interface TunnelledTcpOptions {
  readonly clock: Clock;
  /** Opens a TCP tunnel of the hop before. */
  readonly openTcp: TcpTunnels['openTcp'];
  /** Milliseconds. */
  readonly handshakeTimeout: number;
  /** The hop before, as errors name it. */
  readonly through: string;
}

function detailOf(end: TunnelEnd): string {
  switch (end.kind) {
    case 'ended':
      return 'it ended';
    case 'reset':
      return `it was reset: ${end.reason}`;
    case 'lost':
      return end.error.message;
  }
}

/**
 * Dials HTTP/2 or HTTP/1.1 inside a TCP tunnel of the hop before. The connection ends with its tunnel, and the
 * tunnel with its connection.
 */
export async function dialOverTcp(
  { clock, openTcp, handshakeTimeout, through }: TunnelledTcpOptions,
  { host, port, tls, version }: UpstreamTarget,
  id: number,
  signal: AbortSignal,
): Promise<TransportConnection> {
  const tunnel = await openTcp({ host, port }, { signal, timeout: handshakeTimeout, allowHalfOpen: true });
  let ended: TunnelEnd | undefined;
  const lost = (end: TunnelEnd): BautaError =>
    new BautaError('ERR_CONNECTION_LOST', { detail: `the tunnel through ${through}: ${detailOf(end)}` });
  const watching = tunnel.outcome.then((end) => {
    ended = end;
  });
  const transport = createHttpTransport();
  const options = {
    clock,
    handshakeTimeout,
    carrier: tunnel,
    // As it was asked for: a name is left to the hop before, which resolves it.
    remote: { address: host, port },
    tls: {
      trust: tls.trust,
      serverName: tls.serverName ?? host,
      alpn: [alpnOf[version]],
      ...(tls.certificate ? { certificate: tls.certificate } : {}),
    },
  };
  const dial = version === 'h2' ? dialH2 : dialH1;
  let connection: HttpClientConnection;
  try {
    connection = await dial(undefined, options, transport.handler, signal);
  } catch (error) {
    tunnel.destroy();
    const mine = error instanceof BautaError && error === tunnel.errored;
    if (mine) await watching;
    throw ended && mine ? lost(ended) : error;
  }
  const made = transport.attach(connection, id);
  void watching.then(() => {
    if (!ended) return;
    // The owner hears the reason before the connection, which knows only that its carrier is gone.
    if (ended.kind !== 'ended') {
      transport.handler.closed?.({ reason: 'reset', code: undefined, detail: lost(ended).message });
    }
    void connection.close();
  });
  return made;
}
