import type { Clock } from '../clock/clock.js';
import type { ResponseHead } from '../http/request.js';
import type { ServerStream, TunnelStreamHandler } from '../http/tunnel-stream.js';

/** Content of a request that nobody reads is thrown away up to this, bytes. */
const DISCARD = 64 * 1024;
/** How long a client may go on sending after the answer, milliseconds. */
const LINGER = 5_000;

/**
 * Answers a request with a head and a small body; what the client still sends is thrown away, within bounds. Past
 * them the stream is reset, so that what the client goes on sending is not kept either.
 */
export function answerRequest(
  stream: ServerStream,
  head: ResponseHead,
  body: Uint8Array,
  clock: Clock,
): TunnelStreamHandler {
  const linger = clock.setTimeout(() => stream.reset('cancelled'), LINGER);
  linger.unref();
  let discarded = 0;
  // The handler has to be attached before the stream is used.
  queueMicrotask(() => {
    stream.respond(head);
    if (body.length > 0) stream.write(body, 0, body.length);
    stream.end();
    stream.grant(DISCARD);
  });
  return {
    data(_bytes, start, end) {
      discarded += end - start;
      if (discarded >= DISCARD) stream.reset('cancelled');
    },
    end: () => undefined,
    datagram() {
      // RFC 9297 section 2: what is no extended CONNECT has no datagrams; an unknown protocol might have.
      if (stream.request.kind !== 'extended') stream.reset('datagram-error');
    },
    drain: () => undefined,
    closed: () => clock.clearTimeout(linger),
  };
}
