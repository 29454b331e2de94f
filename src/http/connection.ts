import type { HttpVersion } from '../protocol/reset-reason.js';
import type { SocketAddress } from '../quic/address.js';
import type { QuicStatistics } from '../quic/connection.js';
import type { EngineThread } from '../quic/engine-thread.js';
import type { RequestHead } from './request.js';
import type {
  ClientStreamHandler,
  LossReason,
  ServerStream,
  TunnelStream,
  TunnelStreamHandler,
} from './tunnel-stream.js';

/** What the peer's SETTINGS allow. HTTP/1.1: extended CONNECT stands for Upgrade, one stream. */
export interface PeerSettings {
  /** RFC 8441 and RFC 9220: SETTINGS_ENABLE_CONNECT_PROTOCOL = 1. */
  readonly extendedConnect: boolean;
  /** SETTINGS_H3_DATAGRAM agreed both ways, and the QUIC parameter; always false off HTTP/3. */
  readonly datagrams: boolean;
  /** Streams that may be open at once; undefined where the peer does not say. */
  readonly maxStreams: number | 'unlimited' | undefined;
}

export interface ConnectionClose {
  readonly reason: LossReason;
  /** The code on the wire, where there was one. */
  readonly code: number | undefined;
  readonly detail: string;
}

/** One connection to a proxy, up and with the peer's SETTINGS received. */
export interface HttpClientConnection {
  readonly version: HttpVersion;
  readonly remoteAddress: SocketAddress;
  readonly settings: PeerSettings;
  /** False once draining, closed, or (HTTP/1.1) used. */
  readonly usable: boolean;
  /** Streams open now. */
  readonly streams: number;
  /**
   * Streams that can be opened now without a wait for the peer's leave, as far as is known: below 0 when so many
   * wait. Undefined where only `settings` tell (HTTP/2), or nothing does.
   */
  readonly streamsLeft?: number | undefined;
  /**
   * Sends a request; bytes and datagrams may follow at once, except on HTTP/1.1, where they wait for the
   * response (RFC 9931). On a connection that is not usable the stream closes as `lost`.
   */
  open(head: RequestHead, handler: ClientStreamHandler): TunnelStream;
  /** A PING: resolves with its round trip in milliseconds, rejects when the connection is gone. */
  ping(signal: AbortSignal): Promise<number>;
  statistics(): Promise<QuicStatistics | undefined>;
  /**
   * False lets the process end although the connection is open; true (the start) keeps it. Absent on HTTP/3,
   * where the engine holds it.
   */
  holdProcess?(hold: boolean): void;
  /** GOAWAY, then the close when the last stream is gone. */
  drain(): void;
  /** Closes now; open streams are `lost`. Resolves when the close was sent. Idempotent. */
  close(): Promise<void>;
  readonly closed: Promise<ConnectionClose>;
}

export interface HttpClientConnectionHandler {
  /** The peer sent GOAWAY: streams run on, no new ones. */
  draining?(): void;
  /** A later SETTINGS frame changed something. */
  settings?(settings: PeerSettings): void;
  /** The peer allows more streams: `streamsLeft` has grown. */
  streamsLeft?(): void;
  closed?(close: ConnectionClose): void;
}

/** One connection of a client to this server. */
export interface HttpServerConnection {
  readonly version: HttpVersion;
  /** Unique in the process. */
  readonly id: number;
  readonly remoteAddress: SocketAddress;
  readonly localAddress: SocketAddress;
  readonly serverName: string | undefined;
  /** DER, leaf first; empty without a client certificate. */
  readonly peerCertificates: readonly Uint8Array[];
  readonly streams: number;
  /** Where the far sides of its tunnels had best be opened; absent where it makes no difference. */
  readonly thread?: EngineThread;
  statistics(): Promise<QuicStatistics | undefined>;
  /** GOAWAY (HTTP/1.1: `Connection: close`); closes when the last stream is gone. */
  drain(): void;
  /** Closes now. Idempotent. */
  close(reason: 'shutdown' | 'unauthenticated' | 'excessive-load' | 'internal-error'): void;
  readonly closed: Promise<ConnectionClose>;
}

/** Attaches to a server's new connection before its first request is told. */
export type HttpAccept = (connection: HttpServerConnection) => HttpServerConnectionHandler;

export interface HttpServerConnectionHandler {
  /** A request whose head passed the version's own checks; its handler is attached at once. */
  request(stream: ServerStream): TunnelStreamHandler;
  closed?(close: ConnectionClose): void;
}
