import type { QuicStreamHandler } from '../../quic/stream.js';

/** For a stream that is nobody's concern any more. */
export const deafHandler: QuicStreamHandler = {
  data: () => undefined,
  end: () => undefined,
  reset: () => undefined,
  stopped: () => undefined,
  drain: () => undefined,
  lost: () => undefined,
};
