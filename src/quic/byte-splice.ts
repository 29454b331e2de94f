/** What a splice has moved: "in" is towards the far side, "out" towards the peer of the connection; without framing. */
export interface ByteSpliceStatistics {
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Bytes of a stream, and of a TCP socket or another stream, that the engine moves by itself. */
export interface ByteSplice {
  /** Also after the end. */
  statistics(): ByteSpliceStatistics;
}

/** What is asked of the engine. */
export interface ByteSpliceRequest {
  /**
   * The type of the DATA capsules (draft-ietf-httpbis-connect-tcp) that the socket's bytes are sent in; undefined
   * where they are just the content of HTTP/3 DATA frames.
   */
  readonly capsule: number | undefined;
  /** What a parser that stands between two frames has to read before what comes next on the stream. */
  readonly prefix: Uint8Array;
  /** Told once, before anything else of the two; undefined where the engine moves nothing. */
  begun(splice: ByteSplice | undefined): void;
}

/** What is to be known of one of two streams. */
export interface StreamToJoin {
  /** The type of the DATA capsules on it; undefined where its content is just the bytes. */
  readonly capsule: number | undefined;
  /** As in `ByteSpliceRequest`. */
  readonly prefix: Uint8Array;
}
