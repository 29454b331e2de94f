import { copyBytes } from '../../protocol/copy-bytes.js';

const HIGH_WATER = 64 * 1024;

/** What was asked of a stream before it could open. */
export interface EarlyContent {
  readonly buffered: number;
  readonly credit: number;
  readonly ended: boolean;
  /** `write` returned false. */
  readonly blocked: boolean;
  grant(bytes: number): void;
  write(bytes: Uint8Array, start: number, end: number): boolean;
  end(): void;
  take(): readonly Uint8Array[];
}

export function createEarlyContent(): EarlyContent {
  const pieces: Uint8Array[] = [];
  let buffered = 0;
  let credit = 0;
  let ended = false;
  return {
    get buffered() {
      return buffered;
    },
    get credit() {
      return credit;
    },
    get ended() {
      return ended;
    },
    get blocked() {
      return buffered >= HIGH_WATER;
    },
    grant(bytes) {
      if (bytes > 0) credit += bytes;
    },
    write(bytes, start, end) {
      if (ended || end <= start) return true;
      pieces.push(copyBytes(bytes, start, end));
      buffered += end - start;
      return buffered < HIGH_WATER;
    },
    end() {
      ended = true;
    },
    take: () => pieces.splice(0),
  };
}
