import type { SocketAddress } from './address.js';
import type { CongestionControl } from './congestion.js';
import type { QuicAccept } from './connection.js';
import type { EngineThread } from './engine-thread.js';
import type { CertificateAndKey, CertificateProblem, ClientTls, ServerTls } from './tls.js';

/** QUIC transport settings; each has a default fit for tunnels. Times in milliseconds, sizes in bytes. */
export interface QuicTransportOptions {
  /** Default 30,000. */
  readonly idleTimeout?: number;
  /** Interval of PINGs that keep a quiet connection alive; off by default. */
  readonly keepAlive?: number;
  /**
   * Streams that the peer may have open towards us. Defaults 1,024 and 16. A listener's clients may open 440 of the
   * bidirectional ones until they use half of those: each takes memory as soon as it is allowed.
   */
  readonly maxBidirectionalStreams?: number;
  readonly maxUnidirectionalStreams?: number;
  /** Receive window of a stream (default 1 MiB) and of the connection (default 16 MiB). */
  readonly streamReceiveWindow?: number;
  readonly receiveWindow?: number;
  /** Bytes of stream data kept for retransmission; default 16 MiB. */
  readonly sendWindow?: number;
  /** Queues for datagrams, in bytes; defaults 1 MiB each. 0 receiving turns datagrams off. */
  readonly datagramReceiveBuffer?: number;
  readonly datagramSendBuffer?: number;
  /** A datagram that waited this long to be sent is dropped, oldest first; default 250. */
  readonly datagramMaxAge?: number;
  /** UDP payload of the first packets; default 1350, which fits any 1,500-byte path, or what a virtual path takes. */
  readonly initialMtu?: number;
  /**
   * Search for a larger MTU up to this; default 1452, or what a virtual path takes; 0 turns the search off. More
   * than a virtual path takes at the start is searched for again every 10 s, as the path may have grown.
   */
  readonly mtuDiscoveryUpTo?: number;
  /** Default `cubic`, or what the engine was made with. */
  readonly congestion?: CongestionControl;
}

/** A packet path that is not an operating-system socket: QUIC inside a tunnel. */
export interface VirtualPacketPath {
  /**
   * Largest packet the path takes, at least 1200; read once. The endpoint starts with no larger ones, and tells
   * its peer to send none (max_udp_payload_size). Larger ones that a search for a larger MTU tries
   * (`mtuDiscoveryUpTo`) may be dropped.
   */
  readonly maxPacketSize: number;
  readonly localAddress: SocketAddress;
  /** The engine's outgoing packet; the view is valid only during the call. */
  transmit(bytes: Uint8Array, start: number, end: number, to: SocketAddress): void;
  /** Called once by the engine with the way in: call it for each packet that arrives. */
  attach(deliver: (bytes: Uint8Array, start: number, end: number, from: SocketAddress) => void): void;
  /** The engine is done with the path. */
  closed(): void;
}

export interface QuicListenOptions {
  /** `::` with `dualStack` takes IPv4 too. */
  readonly local: SocketAddress;
  readonly dualStack?: boolean;
  readonly tls: ServerTls;
  readonly transport?: QuicTransportOptions;
  /** Handshakes under way at once; more are refused. Default 4,096. */
  readonly maxHandshakes?: number;
  /** From this many handshakes under way on, addresses are validated by Retry first. Default 256; 0 always. */
  readonly retryAbove?: number;
  /** A handshake takes no longer; default 10,000. */
  readonly handshakeTimeout?: number;
  /**
   * With these bytes the first unidirectional stream of each connection begins. They go with the server's part of
   * the handshake (0.5-RTT data), so whoever completes one sees them, also a client whose certificate is then
   * refused. `QuicConnection.greeted` tells whether it was possible; the bytes are copied.
   */
  readonly greeting?: Uint8Array;
  /**
   * Bytes that each stream of a client may deliver before it is granted any (`QuicStream.firstCredit`), so that a
   * request comes with its stream rather than a turn later; default 0.
   */
  readonly firstCredit?: number;
  /**
   * 32 bytes or more, the same at each start and known to nobody else: a listener at the same address answers
   * packets of connections from before its restart with stateless resets (RFC 9000 section 10.3), so that their
   * clients need not wait for the idle time, and takes Retry tokens given out before. Random by default.
   */
  readonly secret?: Uint8Array;
  readonly path?: VirtualPacketPath;
}

export interface QuicListener {
  readonly localAddress: SocketAddress;
  /** Bytes of kernel receive buffer that the socket got, or each of several; absent on a virtual path or a simulated network. */
  readonly receiveBuffer?: number | undefined;
  /** Threads that its connections are spread over; absent for 1. */
  readonly shards?: number;
  /** For handshakes from now on; running connections stay. Throws `QuicConfigurationError`. */
  setCertificates(certificates: readonly CertificateAndKey[]): void;
  statistics(): { readonly handshakes: number; readonly refused: number; readonly retries: number };
  /** No new connections; running ones stay. */
  stopAccepting(): void;
  /** Closes the connections with this code and the socket, after the close frames were sent. */
  close(code: number, reason: string): Promise<void>;
}

export interface QuicConnectOptions {
  readonly remote: SocketAddress;
  readonly tls: ClientTls;
  readonly transport?: QuicTransportOptions;
  /** Default 10,000. */
  readonly handshakeTimeout?: number;
  readonly path?: VirtualPacketPath;
}

/** Why a connection did not come up. */
export type QuicConnectFailure =
  | { readonly kind: 'timeout' }
  | { readonly kind: 'aborted' }
  | { readonly kind: 'unreachable'; readonly errno: string }
  /** `pin` is that of the certificate seen, so that it can be shown. */
  | {
      readonly kind: 'certificate';
      readonly problem: CertificateProblem;
      readonly pin: string;
      readonly reason: string;
    }
  /** A TLS alert or a failed handshake of another kind (120: no ALPN in common). */
  | { readonly kind: 'tls'; readonly alert: number | undefined; readonly reason: string }
  | { readonly kind: 'refused'; readonly code: number; readonly reason: string }
  | { readonly kind: 'version' }
  | { readonly kind: 'engine'; readonly reason: string };

export class QuicConnectError extends Error {
  override readonly name = 'QuicConnectError';
  constructor(readonly failure: QuicConnectFailure) {
    super('reason' in failure ? `${failure.kind}: ${failure.reason}` : failure.kind);
  }
}

/** A certificate, key, address or option that cannot be used. */
export class QuicConfigurationError extends Error {
  override readonly name = 'QuicConfigurationError';
  constructor(
    message: string,
    readonly errno?: string,
  ) {
    super(message);
  }
}

/** QUIC: the engine of this process, or the simulated network of a test. */
export interface QuicEngine extends EngineThread {
  /** Rejects with `QuicConfigurationError` (an address in use has `errno` EADDRINUSE). */
  listen(options: QuicListenOptions, accept: QuicAccept): Promise<QuicListener>;
  /**
   * False lets the process end although something is open here; true (the start) keeps it. Absent where
   * nothing of the engine keeps a process.
   */
  holdProcess?(hold: boolean): void;
  /**
   * Resolves with the reason if the engine dies of a defect of its own: all that was open on it is over. Absent
   * where nothing can.
   */
  readonly failed?: Promise<string>;
  /** Closes everything, waits until close frames were sent; afterwards nothing keeps the process alive. */
  close(): Promise<void>;
}
