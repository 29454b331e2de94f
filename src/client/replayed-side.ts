import { ActingSide, type ByteSide } from '../tunnel/tcp/byte-side.js';

/** Stands for a tunnel that has not been answered yet, and may have to be asked for again. */
export interface ReplayedSide {
  readonly side: ByteSide;
  /** This tunnel was asked for: what was written so far goes into it, and what is written from now on. */
  ask(tunnel: ByteSide): void;
  /** The tunnel asked for last is the one. */
  answered(): void;
}

/** More than this is not written ahead of the answer, bytes. */
const MOST_EARLY = 16 * 1024;

class EarlySide extends ActingSide {
  current: ByteSide | undefined;
  earlyBytes = 0;

  override get buffered(): number {
    return this.current?.buffered ?? this.earlyBytes;
  }
}

/**
 * Bytes ahead of the answer: only such as may be received twice, because a proxy that was lost before it
 * answered may have passed them on. `cut` is called when the side is reset before the answer, `drain` when it
 * takes bytes again.
 */
export function createReplayedSide(cut: () => void, drain: () => void): ReplayedSide {
  const early: Buffer[] = [];
  let ended = false;
  let credit = 0;
  let open = false;
  let over = false;
  const side = new EarlySide({
    grant(bytes) {
      if (open) side.current?.grant(bytes);
      else credit += bytes;
    },
    write(bytes, start, end) {
      if (open) return side.current?.write(bytes, start, end) ?? true;
      const copy = Buffer.from(bytes.subarray(start, end));
      early.push(copy);
      side.earlyBytes += copy.length;
      side.current?.write(copy, 0, copy.length);
      return side.earlyBytes < MOST_EARLY;
    },
    end() {
      ended = true;
      side.current?.end();
    },
    reset(reason) {
      over = true;
      side.current?.reset(reason);
      if (!open) cut();
    },
  });
  return {
    side,
    ask(tunnel) {
      if (over) return;
      side.current = tunnel;
      for (const bytes of early) tunnel.write(bytes, 0, bytes.length);
      if (ended) tunnel.end();
    },
    answered() {
      open = true;
      early.length = 0;
      if (credit > 0) side.current?.grant(credit);
      if (side.earlyBytes >= MOST_EARLY) drain();
    },
  };
}
