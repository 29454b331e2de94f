import type {
  ConnectionClose,
  HttpClientConnection,
  HttpClientConnectionHandler,
  PeerSettings,
} from '../http/connection.js';
import type { RequestHead, ResponseHead } from '../http/request.js';
import type { ClientStreamHandler, StreamOutcome } from '../http/tunnel-stream.js';
import type { ResetReason } from '../protocol/reset-reason.js';
import type { SocketAddress } from '../quic/address.js';
import { NumberTable } from '../tables/number-table.js';
import { ContentCounters, countedStream } from './counted-stream.js';
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
  /** The connection is up. `seenAt` is what its remote address is said to be, where it is another one. */
  attach(connection: HttpClientConnection, id: number, seenAt?: SocketAddress): TransportConnection;
}

/** Brings one stream's events to the owner, and its content to whoever is registered. */
class StreamEvents implements ClientStreamHandler {
  content: StreamContent | undefined;

  constructor(
    private readonly wire: AttachedConnection,
    private readonly handle: number,
  ) {}

  opened(): void {
    this.wire.events?.opened(this.wire, this.handle);
  }

  informational(head: ResponseHead): void {
    this.wire.events?.informational(this.wire, this.handle, head);
  }

  response(head: ResponseHead): void {
    this.wire.events?.response(this.wire, this.handle, head);
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
    this.wire.events?.datagram(this.wire, this.handle, bytes, start, end);
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
    this.wire.events?.streamClosed(this.wire, this.handle, outcome);
  }
}

/** A class because there may be one for each tunnel. */
class AttachedConnection implements TransportConnection {
  readonly version: TransportConnection['version'];
  events: TransportEvents | undefined;
  readonly entries = new NumberTable<StreamEvents>();
  readonly counters: ContentCounters | undefined;
  private handles = 0;

  constructor(
    private readonly connection: HttpClientConnection,
    readonly id: number,
    private readonly past: Past,
    private readonly seenAt: SocketAddress | undefined,
  ) {
    this.version = connection.version;
    this.counters = connection.version === 'h3' ? undefined : new ContentCounters();
  }

  get remoteAddress(): SocketAddress {
    return this.seenAt ?? this.connection.remoteAddress;
  }

  get settings(): PeerSettings {
    return this.connection.settings;
  }

  get usable(): boolean {
    return this.connection.usable;
  }

  get streamsLeft(): number | undefined {
    return this.connection.streamsLeft;
  }

  capacity(): number | 'unlimited' | undefined {
    return this.connection.settings.maxStreams;
  }

  listen(events: TransportEvents): void {
    this.events = events;
    if (this.past.draining) events.draining(this);
    if (this.past.close) events.closed(this, this.past.close);
  }

  openStream(head: RequestHead): TransportStream {
    const { counters, entries } = this;
    const handle = this.handles++;
    const entry = new StreamEvents(this, handle);
    entries.set(handle, entry);
    try {
      const tunnel = this.connection.open(head, entry);
      return { handle, tunnel: counters ? countedStream(tunnel, counters) : tunnel };
    } catch (error) {
      entries.delete(handle);
      throw error;
    }
  }

  register(stream: TransportStream, content: StreamContent): void {
    const entry = this.entries.get(stream.handle);
    if (entry) entry.content = content;
  }

  unregister(stream: TransportStream): void {
    const entry = this.entries.get(stream.handle);
    if (entry) entry.content = undefined;
  }

  cancel(stream: TransportStream): void {
    stream.tunnel.reset('cancelled');
  }

  close(): Promise<void> {
    return this.connection.close();
  }

  ping(signal: AbortSignal): Promise<number> {
    return this.connection.ping(signal);
  }

  statistics(): Promise<TransportStatistics | undefined> {
    return statisticsOf(this.connection, this.counters);
  }

  holdProcess(hold: boolean): void {
    this.connection.holdProcess?.(hold);
  }
}

/** What was told of a connection, for whoever listens later. */
interface Past {
  draining: boolean;
  close: ConnectionClose | undefined;
}

/**
 * A transport over an HTTP connection of any version. With its `handler` given to the dial it hears of GOAWAY
 * and of later SETTINGS; a connection that was dialled otherwise can be attached too, and then its drain is
 * noticed with the next acquire.
 */
export function createHttpTransport(): HttpTransport {
  let attached: AttachedConnection | undefined;
  const past: Past = { draining: false, close: undefined };

  const settings = (): void => {
    if (attached) attached.events?.settings(attached);
  };
  const closed = (told: ConnectionClose): void => {
    if (past.close) return;
    past.close = told;
    if (attached) attached.events?.closed(attached, told);
  };

  return {
    handler: {
      draining() {
        past.draining = true;
        if (attached) attached.events?.draining(attached);
      },
      settings,
      streamsLeft: settings,
      closed,
    },
    attach(connection, id, seenAt) {
      attached = new AttachedConnection(connection, id, past, seenAt);
      void connection.closed.then(closed);
      return attached;
    },
  };
}

async function statisticsOf(
  connection: HttpClientConnection,
  counters: ContentCounters | undefined,
): Promise<TransportStatistics | undefined> {
  const quic = await connection.statistics();
  if (!quic) return counters?.total();
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
