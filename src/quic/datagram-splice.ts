/** What a splice has moved: "in" is towards the far side, "out" towards the peer of the connection. */
export interface DatagramSpliceStatistics {
  readonly payloadsIn: number;
  readonly bytesIn: number;
  readonly payloadsOut: number;
  readonly bytesOut: number;
  /** Not sent to the peer: the queue was full, or the wait in it too long. */
  readonly droppedOutQueueFull: number;
  /** Not sent to the peer: larger than a datagram can be now. */
  readonly droppedOutTooLarge: number;
  /** The far side did not take it in time. */
  readonly droppedInSocket: number;
  /** Larger than the path on the far side carries. */
  readonly droppedInTooLarge: number;
  /** Of capsules, whose context the engine reads: with a context id other than 0 (RFC 9298 section 4). */
  readonly droppedInUnknownContext: number;
  /** Of capsules: too short to hold a context id. */
  readonly droppedInMalformed: number;
}

/**
 * What a parser between two capsules would read before all that comes next on a stream, of which everything else has
 * been told; at most so many bytes. They are the engine's from then on. Undefined calls the splice off.
 */
export type TakeRest = (most: number) => Uint8Array | undefined;

/** Datagrams of a connection, and packets of a socket or datagrams of another one, that the engine moves by itself. */
export interface DatagramSplice {
  /** The engine could not begin, or was not to after all: it has moved nothing and will not. */
  calledOff(): boolean;
  /** Also after the end. */
  statistics(): DatagramSpliceStatistics;
  /**
   * Both are told to their handlers again, after all that the engine has moved. Closing the socket, or the end
   * of a connection, stops it too. Idempotent.
   */
  stop(): void;
}
