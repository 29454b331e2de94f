import { copyBytes } from '../../../protocol/copy-bytes.js';
import { type SharedRoom, WriteGauge } from '../../../quic/write-gauge.js';

/** What waits to be sent on one stream. A class because there are thousands. */
export class Outgoing {
  /** END_STREAM is to follow the last byte. */
  ending = false;
  /** A header block that is to follow the last byte. */
  trailers: { readonly block: Uint8Array; readonly endStream: boolean } | undefined;
  private readonly gauge: WriteGauge;
  private readonly pieces: Uint8Array[] = [];
  /** Bytes of the first piece that went. */
  private gone = 0;

  constructor(
    /** The peer's flow-control window; may be below 0 (RFC 9113 section 6.9.2). */
    public window: number,
    room: SharedRoom,
  ) {
    this.gauge = new WriteGauge(room);
  }

  get buffered(): number {
    return this.gauge.buffered;
  }

  /** Copies; false at the high-water mark. */
  add(bytes: Uint8Array, start: number, end: number): boolean {
    this.pieces.push(copyBytes(bytes, start, end));
    return this.gauge.written(end - start);
  }

  /** Gives out `count` bytes of what waits; true when it is time to tell of the drain. */
  take(count: number, write: (bytes: Uint8Array, start: number, end: number) => void): boolean {
    for (let left = count; left > 0; ) {
      const piece = this.pieces[0];
      if (!piece) break;
      const end = Math.min(piece.length, this.gone + left);
      write(piece, this.gone, end);
      left -= end - this.gone;
      this.gone = end;
      if (end < piece.length) break;
      this.pieces.shift();
      this.gone = 0;
    }
    return this.gauge.went(count);
  }

  clear(): void {
    this.pieces.length = 0;
    this.gauge.clear();
  }
}
