import type { HttpVersion } from '../../protocol/reset-reason.js';
import type { ClientStreamHandler, StreamOutcome, TunnelStream } from '../tunnel-stream.js';

/** A stream that never opens: its outcome is told in the next tick. */
export function refusedStream(
  version: HttpVersion,
  handler: ClientStreamHandler,
  outcome: StreamOutcome,
): TunnelStream {
  return {
    version,
    id: -1,
    buffered: 0,
    nativeDatagrams: false,
    maxDatagramSize: 0,
    grant: () => undefined,
    write: () => true,
    end: () => undefined,
    sendDatagram: () => 'too-large',
    reset: () => undefined,
    closed: new Promise((resolve) => {
      process.nextTick(() => {
        handler.closed(outcome);
        resolve(outcome);
      });
    }),
  };
}
