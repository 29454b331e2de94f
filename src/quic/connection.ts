import type { SocketAddress } from './address.js';
import type { DatagramSplice } from './datagram-splice.js';
import type { EngineThread } from './engine-thread.js';
import type { QuicStream, QuicStreamHandler } from './stream.js';
import type { UdpSocket } from './udp-socket.js';

/** What became of a datagram: queued, refused for want of room, or larger than the peer and path allow. */
export type DatagramOutcome = 'sent' | 'dropped' | 'too-large';

/** Why a connection ended. */
export type QuicCloseReason =
  /** CONNECTION_CLOSE of the application (HTTP/3) layer. */
  | { readonly kind: 'application'; readonly code: number; readonly reason: string; readonly byPeer: boolean }
  /** CONNECTION_CLOSE of QUIC itself; TLS alerts are 0x100 + alert. */
  | { readonly kind: 'transport'; readonly code: number; readonly reason: string; readonly byPeer: boolean }
  /** Nothing was heard for the idle time. */
  | { readonly kind: 'idle' }
  /** The peer has lost its state (stateless reset). */
  | { readonly kind: 'stateless-reset' }
  /** The engine failed; a defect of ours. */
  | { readonly kind: 'engine'; readonly reason: string };

export interface QuicStatistics {
  /** Smoothed round-trip time, milliseconds. */
  readonly rtt: number;
  /** Bytes. */
  readonly congestionWindow: number;
  /** Current path MTU: UDP payload bytes. */
  readonly pathMtu: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly packetsSent: number;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  readonly datagramsSent: number;
  readonly datagramsReceived: number;
  /** Outgoing datagrams dropped by a full queue, by their age, or for their size. */
  readonly datagramsDroppedSending: number;
  /** Incoming datagrams dropped because this process did not take them in time. */
  readonly datagramsDroppedReceiving: number;
}

export interface QuicConnection {
  /** Unique in the process. */
  readonly id: number;
  /** Changes when a client migrates. */
  readonly remoteAddress: SocketAddress;
  readonly localAddress: SocketAddress;
  readonly alpn: string;
  /** The server name of the handshake, if one was sent. */
  readonly serverName: string | undefined;
  /** The peer's certificates, DER, leaf first; empty when none was sent. */
  readonly peerCertificates: readonly Uint8Array[];
  /** Largest datagram payload that can be sent now, bytes; 0 when the peer takes none. */
  readonly maxDatagramSize: number;
  /** The listener's `greeting` was sent: the first unidirectional stream opened here goes on after it. */
  readonly greeted?: boolean;
  /**
   * The thread of this connection, where the engine has several: only what is opened there can be spliced or joined
   * to it.
   */
  readonly thread?: EngineThread;
  /**
   * Bidirectional streams that can be opened now without a wait for the peer's leave (RFC 9000 section 4.6), as far
   * as is known: below 0 when so many wait. Undefined where the engine cannot tell.
   */
  readonly bidirectionalStreamsLeft?: number;
  openBidirectional(handler: QuicStreamHandler): QuicStream;
  openUnidirectional(handler: QuicStreamHandler): QuicStream;
  /** Queues the datagram `head ++ body[start, end)`; copied before this returns. */
  sendDatagram(head: Uint8Array, body: Uint8Array, start: number, end: number): DatagramOutcome;
  /**
   * Lets the engine move datagrams that begin with the variable-length integers `number` and 0 (RFC 9000 section
   * 16), without these, to a connected socket, and its packets, behind these, to the peer. What was told to the
   * two handlers before, and sent out of the very calls that told it, keeps its place before what the engine
   * moves. Undefined where the engine cannot: it has no splices, or the socket is not its own, is closed or was spliced before.
   */
  spliceDatagrams?(number: number, socket: UdpSocket): DatagramSplice | undefined;
  /**
   * The same with another connection: datagrams that begin with `number` and 0 here and with `farNumber` and 0
   * there become each other's. Undefined where the engine cannot: it has no splices, or the other connection is
   * not its own or is this one. A number that has a splice already keeps it, and this one then moves nothing.
   */
  joinDatagrams?(number: number, far: QuicConnection, farNumber: number): DatagramSplice | undefined;
  /** CONNECTION_CLOSE with an application code; streams and datagrams not yet sent are lost. */
  close(code: number, reason: string): void;
  statistics(): Promise<QuicStatistics>;
  /** Moves a client to another local port, as a change of network does. Rejects where that cannot be. */
  rebind?(): Promise<void>;
}

/** What a connection tells. Calls come synchronously out of one drain of the engine, in order. */
export interface QuicConnectionHandler {
  /** The peer opened a stream; its handler is attached before anything else is told of it. */
  stream(stream: QuicStream): QuicStreamHandler;
  /** A datagram; the view is valid only during the call. */
  datagram(bytes: Uint8Array, start: number, end: number): void;
  maxDatagramSize(size: number): void;
  /** `bidirectionalStreamsLeft` has grown by what the peer has allowed. */
  streamsLeft?(): void;
  /** The peer's address changed. */
  migrated?(remote: SocketAddress): void;
  /** The end, exactly once; each unfinished stream was told `lost` before. */
  closed(reason: QuicCloseReason): void;
}

/** Attaches to a connection the moment it is up, before anything is delivered for it. */
export type QuicAccept = (connection: QuicConnection) => QuicConnectionHandler;
