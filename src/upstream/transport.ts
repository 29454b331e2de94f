import type { ConnectionClose, PeerSettings } from '../http/connection.js';
import type { RequestHead, ResponseHead } from '../http/request.js';
import type { StreamOutcome, TunnelStream, TunnelStreamHandler } from '../http/tunnel-stream.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import type { SocketAddress } from '../quic/address.js';
import type { UpstreamTarget } from './target.js';

/** One stream of a transport connection. */
export interface TransportStream {
  /** By which events name it: from 0 on, unique on its connection, and there before the HTTP stream id is. */
  readonly handle: number;
  /** Its `id` is -1 while it waits for the peer's leave to open. */
  readonly tunnel: TunnelStream;
}

/** Where a stream's content goes: from the stream straight to whoever is registered for it. */
export type StreamContent = Pick<
  TunnelStreamHandler,
  'data' | 'end' | 'drain' | 'peerStopped' | 'maxDatagramSize'
>;

/**
 * What a connection tells its owner. Each event names the connection and the stream's handle; calls are
 * synchronous and in order, and none comes before the call that opened the stream has returned.
 */
export interface TransportEvents {
  /** A stream that had to wait has its id. */
  opened(from: TransportConnection, handle: number): void;
  /** A 1xx response other than 101. */
  informational(from: TransportConnection, handle: number, head: ResponseHead): void;
  response(from: TransportConnection, handle: number, head: ResponseHead): void;
  /** An HTTP datagram payload; the view is valid only during the call. */
  datagram(from: TransportConnection, handle: number, bytes: Uint8Array, start: number, end: number): void;
  /** The stream's outcome, exactly once, last of its events. */
  streamClosed(from: TransportConnection, handle: number, outcome: StreamOutcome): void;
  /** The peer sent GOAWAY without an error: streams run on, no new ones. */
  draining(from: TransportConnection): void;
  /** The peer has changed how much it allows: a later SETTINGS frame (HTTP/2), more streams (HTTP/3). */
  settings(from: TransportConnection): void;
  /** The end, exactly once, last of all events. */
  closed(from: TransportConnection, close: ConnectionClose): void;
}

/** Counters and measures of a connection, each where its transport knows it. */
export interface TransportStatistics {
  /** Smoothed round-trip time, milliseconds. */
  readonly rtt?: number;
  /** Bytes on the wire; where the transport cannot see them, bytes of content. */
  readonly bytesSent?: number;
  readonly bytesReceived?: number;
  readonly datagramsSent?: number;
  readonly datagramsReceived?: number;
  /** Datagrams that found a full queue here. */
  readonly datagramsDropped?: number;
  readonly packetsSent?: number;
  readonly packetsLost?: number;
}

/** One HTTP connection to a next hop, up and with the peer's SETTINGS received; HTTP/3 and HTTP/2 look alike. */
export interface TransportConnection {
  readonly version: HttpVersion;
  /** Names the connection among those of its driver. */
  readonly id: number;
  readonly remoteAddress: SocketAddress;
  readonly settings: PeerSettings;
  /** False once draining or closed. */
  readonly usable: boolean;
  /** Streams that the peer lets be open at once; undefined where it does not say. */
  capacity(): number | 'unlimited' | undefined;
  /** Streams that can be opened now without a wait for the peer's leave, below 0 when so many wait, where known. */
  readonly streamsLeft?: number | undefined;
  /** Whom everything is told from here on; a drain or an end that came before is told at once. */
  listen(events: TransportEvents): void;
  /** Sends the request. Throws where that cannot be. */
  openStream(head: RequestHead): TransportStream;
  /** From here on the stream's content goes to `content`. Throws or rejects where that cannot be. */
  register(stream: TransportStream, content: StreamContent): void | Promise<void>;
  /** The stream's content goes nowhere. */
  unregister(stream: TransportStream): void;
  /** Aborts both directions of the stream; on a finished one it does and sends nothing. */
  cancel(stream: TransportStream): void;
  /** Closes at once; resolves when the close was sent. */
  close(): Promise<void>;
  /** Resolves with a round trip in milliseconds; rejects when the connection is gone. */
  ping(signal: AbortSignal): Promise<number>;
  statistics(): Promise<TransportStatistics | undefined>;
  /** As `HttpClientConnection.holdProcess`: false lets the process end although the connection is open. */
  holdProcess?(hold: boolean): void;
}

/** Opens transport connections. */
export interface TransportDriver {
  /**
   * Resolves once the connection is up and the peer's SETTINGS came. Rejects with the reason, leaving nothing
   * behind; so does an abort.
   */
  dial(target: UpstreamTarget, signal: AbortSignal): Promise<TransportConnection>;
}
