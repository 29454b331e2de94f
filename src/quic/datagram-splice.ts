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
}

/** Datagrams of a connection, and packets of a socket or datagrams of another one, that the engine moves by itself. */
export interface DatagramSplice {
  /** Also after the end. */
  statistics(): DatagramSpliceStatistics;
  /**
   * Both are told to their handlers again, after all that the engine has moved. Closing the socket, or the end
   * of a connection, stops it too. Idempotent.
   */
  stop(): void;
}
