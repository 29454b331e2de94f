import type {
  HttpAccept,
  HttpClientConnection,
  HttpClientConnectionHandler,
} from '../../../src/http/connection.js';
import type { ServerStream } from '../../../src/http/tunnel-stream.js';

/** What versions of HTTP may legitimately differ in. */
export interface Capabilities {
  /** HTTP datagrams travel as QUIC DATAGRAM frames. */
  readonly nativeDatagrams: boolean;
  /** One direction can end while the other goes on. */
  readonly halfClose: boolean;
  /** Many streams on one connection. */
  readonly multiplex: boolean;
  /** A reset carries its reason. */
  readonly resetCodes: boolean;
  /** Classic CONNECT besides the extended one. */
  readonly connectKind: boolean;
  /** Content may be sent and read before the response (all but HTTP/1.1). */
  readonly earlyContent: boolean;
  readonly ping: boolean;
  /** `Pair.breakConnection` is there. */
  readonly breakable: boolean;
  /** The peer's close of a connection shows as such, and not as a reset; true by default. */
  readonly closeIsLoss?: boolean;
  /** `Pair.shrinkMtu` is there. */
  readonly mtuChange?: boolean;
  /** `PairRequest.maxStreams` is obeyed. */
  readonly streamLimit: boolean;
}

/** What the suite wants on the two ends of a new connection. */
export interface PairRequest {
  readonly accept: HttpAccept;
  readonly client: HttpClientConnectionHandler;
  /** Streams that the server lets be open at once; the implementation's own default without. */
  readonly maxStreams?: number;
}

/** A client's connection to a server, both in this process. */
export interface Pair {
  readonly client: HttpClientConnection;
  /** Lets the packets and timers of a few round trips happen, where time is virtual. */
  settle?(): Promise<void>;
  /** Ends the connection for both sides without any orderly word; they must notice within seconds. */
  breakConnection?(): void;
  /** The server asks for no more of the request and goes on answering (STOP_SENDING alone, NO_ERROR). */
  stopPeer?(stream: ServerStream): void;
  /** Makes the path carry only smaller packets; both sides find out. */
  shrinkMtu?(): void;
  /** Frees everything: both ends, listeners, engines. */
  close(): Promise<void>;
}

export interface Implementation {
  /** Appears in the titles. */
  readonly name: string;
  readonly supports: Capabilities;
  createPair(request: PairRequest): Promise<Pair>;
}
