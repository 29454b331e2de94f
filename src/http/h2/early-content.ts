import { copyBytes } from '../../protocol/copy-bytes.js';

const HIGH_WATER = 64 * 1024;

/** What was asked of a stream before it could open. A class because there are thousands. */
export class EarlyContent {
  buffered = 0;
  credit = 0;
  ended = false;
  private pieces: Uint8Array[] = [];

  /** `write` returned false. */
  get blocked(): boolean {
    return this.buffered >= HIGH_WATER;
  }

  grant(bytes: number): void {
    if (bytes > 0) this.credit += bytes;
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.ended || end <= start) return true;
    this.pieces.push(copyBytes(bytes, start, end));
    this.buffered += end - start;
    return !this.blocked;
  }

  end(): void {
    this.ended = true;
  }

  take(): readonly Uint8Array[] {
    const taken = this.pieces;
    this.pieces = [];
    return taken;
  }
}
