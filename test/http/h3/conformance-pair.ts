import type { Clock } from '../../../src/clock/clock.js';
import type { HttpClientConnection } from '../../../src/http/connection.js';
import { dialH3 } from '../../../src/http/h3/client.js';
import { acceptH3 } from '../../../src/http/h3/server.js';
import { tunnelTransport } from '../../../src/http/h3/tunnel-transport.js';
import { h3ErrorCodes } from '../../../src/protocol/h3-error.js';
import type { SocketAddress } from '../../../src/quic/address.js';
import type { QuicAccept } from '../../../src/quic/connection.js';
import type { QuicEngine, VirtualPacketPath } from '../../../src/quic/engine.js';
import type { QuicStream } from '../../../src/quic/stream.js';
import type { CertificateAndKey, ServerTrust } from '../../../src/quic/tls.js';
import type { Capabilities, Pair, PairRequest } from '../conformance/pair.js';

/** What HTTP/3 gives: all of it. */
export const h3Capabilities: Capabilities = {
  nativeDatagrams: true,
  halfClose: true,
  multiplex: true,
  resetCodes: true,
  connectKind: true,
  earlyContent: true,
  ping: true,
  breakable: true,
  streamLimit: true,
};

export interface Engines {
  readonly clock: Clock;
  readonly server: QuicEngine;
  readonly client: QuicEngine;
  readonly local: SocketAddress;
  readonly certificates: readonly CertificateAndKey[];
  readonly trust: ServerTrust;
  /** Milliseconds. */
  readonly idleTimeout: number;
  /** The client's way to the server; an operating-system socket without. */
  readonly path?: VirtualPacketPath;
}

type H3Pair = Pick<Pair, 'client' | 'stopPeer'>;

/** Listens and dials; `until` lets the dial make progress where time is virtual. */
export async function connectH3(
  engines: Engines,
  request: PairRequest,
  progress: (dialling: Promise<HttpClientConnection>) => Promise<HttpClientConnection>,
): Promise<H3Pair> {
  const { clock, idleTimeout } = engines;
  const streams = new Map<number, QuicStream>();
  const accept = acceptH3({ clock }, request.accept);
  const tapped: QuicAccept = (connection) => {
    const handler = accept(connection);
    return {
      ...handler,
      stream(stream) {
        streams.set(stream.id, stream);
        return handler.stream(stream);
      },
    };
  };
  const listener = await engines.server.listen(
    {
      local: engines.local,
      tls: { certificates: engines.certificates, alpn: ['h3'] },
      transport: {
        ...tunnelTransport,
        idleTimeout,
        ...(request.maxStreams === undefined ? {} : { maxBidirectionalStreams: request.maxStreams }),
      },
    },
    tapped,
  );
  const client = await progress(
    dialH3(
      engines.client,
      {
        clock,
        quic: {
          remote: listener.localAddress,
          tls: { serverName: 'proxy.test', alpn: ['h3'], trust: engines.trust },
          transport: { idleTimeout },
          ...(engines.path ? { path: engines.path } : {}),
        },
      },
      request.client,
      new AbortController().signal,
    ),
  );
  return {
    client,
    stopPeer: (stream) => streams.get(stream.id)?.stop(h3ErrorCodes.H3_NO_ERROR),
  };
}
