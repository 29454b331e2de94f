import { copyBytes } from '../../protocol/copy-bytes.js';
import type { QuicStream } from '../../quic/stream.js';

/**
 * Content by the holder's credit. One byte more than the credit is let in and kept, so that the end is seen
 * when the credit was just enough.
 */
export interface FakeContent {
  start(quic: QuicStream): void;
  grant(bytes: number): void;
  push(bytes: Uint8Array, start: number, end: number): void;
  finish(): void;
}

const slack = 1;

export function createFakeContent(sink: {
  data(bytes: Uint8Array, start: number, end: number): void;
  end(): void;
}): FakeContent {
  let quic: QuicStream | undefined;
  let credit = 0;
  let kept: Uint8Array | undefined;
  let finished = false;

  const finishWhenEmpty = (): void => {
    if (!finished || kept) return;
    finished = false;
    sink.end();
  };

  return {
    start(stream) {
      quic = stream;
      stream.grant(slack + credit);
    },
    grant(bytes) {
      if (bytes <= 0) return;
      credit += bytes;
      quic?.grant(bytes);
      const late = kept;
      if (!late) return;
      kept = undefined;
      credit -= late.length;
      sink.data(late, 0, late.length);
      finishWhenEmpty();
    },
    push(bytes, start, end) {
      const within = Math.min(end, start + credit);
      credit -= within - start;
      if (end > within) kept = copyBytes(bytes, within, end);
      if (within > start) sink.data(bytes, start, within);
    },
    finish() {
      finished = true;
      finishWhenEmpty();
    },
  };
}
