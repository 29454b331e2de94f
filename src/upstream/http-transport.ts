import type {
  ConnectionClose,
  HttpClientConnection,
  HttpClientConnectionHandler,
} from '../http/connection.js';
import type { ResponseHead } from '../http/request.js';
import type { ClientStreamHandler, StreamOutcome } from '../http/tunnel-stream.js';
import type { ResetReason } from '../protocol/reset-reason.js';
import { type ContentCounters, countedStream } from './counted-stream.js';
import type {
  StreamContent,
  TransportConnection,
  TransportEvents,
  TransportStatistics,
  TransportStream,
} from './transport.js';

/** The way from an HTTP connection that is being dialled to the transport that it becomes. */
export interface HttpTransport {
  /** Give this to the dial. */
  readonly handler: HttpClientConnectionHandler;
  /** The connection is up. */
  attach(connection: HttpClientConnection, id: number): TransportConnection;
}

interface Wire {
  readonly connection: TransportConnection;
  readonly events: TransportEvents | undefined;
  readonly entries: Map<number, StreamEvents>;
  readonly counters: ContentCounters | undefined;
}

/** Brings one stream's events to the owner, and its content to whoever is registered. */
class StreamEvents implements ClientStreamHandler {
  content: StreamContent | undefined;

  constructor(
    private readonly wire: Wire,
    private readonly handle: number,
  ) {}

  opened(): void {
    this.wire.events?.opened(this.wire.connection, this.handle);
  }

  informational(head: ResponseHead): void {
    this.wire.events?.informational(this.wire.connection, this.handle, head);
  }

  response(head: ResponseHead): void {
    this.wire.events?.response(this.wire.connection, this.handle, head);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    const { counters } = this.wire;
    if (counters) counters.received += end - start;
    this.content?.data(bytes, start, end);
  }

  end(): void {
    this.content?.end();
  }

  datagram(bytes: Uint8Array, start: number, end: number): void {
    this.wire.events?.datagram(this.wire.connection, this.handle, bytes, start, end);
  }

  drain(): void {
    this.content?.drain();
  }

  peerStopped(reason: ResetReason): void {
    this.content?.peerStopped?.(reason);
  }

  maxDatagramSize(size: number): void {
    this.content?.maxDatagramSize?.(size);
  }

  closed(outcome: StreamOutcome): void {
    this.wire.entries.delete(this.handle);
    this.wire.events?.streamClosed(this.wire.connection, this.handle, outcome);
  }
}

/**
 * A transport over an HTTP connection of any version. With its `handler` given to the dial it hears of GOAWAY
 * and of later SETTINGS; a connection that was dialled otherwise can be attached too, and then its drain is
 * noticed with the next acquire.
 */
export function createHttpTransport(): HttpTransport {
  let attached: { readonly connection: HttpClientConnection; readonly wire: Wire } | undefined;
  let events: TransportEvents | undefined;
  let draining = false;
  let close: ConnectionClose | undefined;

  const closed = (told: ConnectionClose): void => {
    if (close) return;
    close = told;
    if (attached) events?.closed(attached.wire.connection, told);
  };

  return {
    handler: {
      draining() {
        draining = true;
        if (attached) events?.draining(attached.wire.connection);
      },
      settings() {
        if (attached) events?.settings(attached.wire.connection);
      },
      streamsLeft() {
        if (attached) events?.settings(attached.wire.connection);
      },
      closed,
    },
    attach(connection, id) {
      let handles = 0;
      const counters = connection.version === 'h3' ? undefined : { sent: 0, received: 0 };
      const entries = new Map<number, StreamEvents>();
      const streamOf = (stream: TransportStream): StreamEvents | undefined => entries.get(stream.handle);
      const transport: TransportConnection = {
        version: connection.version,
        id,
        get remoteAddress() {
          return connection.remoteAddress;
        },
        get settings() {
          return connection.settings;
        },
        get usable() {
          return connection.usable;
        },
        capacity: () => connection.settings.maxStreams,
        get streamsLeft() {
          return connection.streamsLeft;
        },
        listen(given) {
          events = given;
          if (draining) given.draining(transport);
          if (close) given.closed(transport, close);
        },
        openStream(head) {
          const handle = handles++;
          const entry = new StreamEvents(wire, handle);
          entries.set(handle, entry);
          try {
            const tunnel = connection.open(head, entry);
            return { handle, tunnel: counters ? countedStream(tunnel, counters) : tunnel };
          } catch (error) {
            entries.delete(handle);
            throw error;
          }
        },
        register(stream, content) {
          const entry = streamOf(stream);
          if (entry) entry.content = content;
        },
        unregister(stream) {
          const entry = streamOf(stream);
          if (entry) entry.content = undefined;
        },
        cancel: (stream) => stream.tunnel.reset('cancelled'),
        close: () => connection.close(),
        ping: (signal) => connection.ping(signal),
        statistics: () => statisticsOf(connection, counters),
        holdProcess: (hold) => connection.holdProcess?.(hold),
      };
      const wire: Wire = {
        connection: transport,
        entries,
        counters,
        get events() {
          return events;
        },
      };
      attached = { connection, wire };
      void connection.closed.then(closed);
      return transport;
    },
  };
}

async function statisticsOf(
  connection: HttpClientConnection,
  counters: ContentCounters | undefined,
): Promise<TransportStatistics | undefined> {
  const quic = await connection.statistics();
  if (!quic) return counters && { bytesSent: counters.sent, bytesReceived: counters.received };
  return {
    rtt: quic.rtt,
    bytesSent: quic.bytesSent,
    bytesReceived: quic.bytesReceived,
    datagramsSent: quic.datagramsSent,
    datagramsReceived: quic.datagramsReceived,
    datagramsDropped: quic.datagramsDroppedSending,
    packetsSent: quic.packetsSent,
    packetsLost: quic.packetsLost,
  };
}
