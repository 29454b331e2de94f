import { copyBytes } from '../../../protocol/copy-bytes.js';

/** What came on one stream and waits for credit. A class because there are thousands. */
export class Incoming {
  /** END_STREAM came. */
  ended = false;
  /** And was told. */
  endTold = false;
  private credit = 0;
  private pieces: Uint8Array[] | undefined;
  /** Bytes of the first piece that were told. */
  private told = 0;
  /** Bytes that the peer may send again and has not been told so. */
  private owed = 0;

  constructor(
    /** What the peer may still send. */
    public window: number,
    /** By so much the window grows besides, once a quarter of it was told. */
    private keptBack: number,
  ) {}

  get waiting(): boolean {
    return this.pieces !== undefined;
  }

  grant(bytes: number): void {
    if (bytes > 0) this.credit += bytes;
  }

  /** Bytes in order: told as far as the credit goes, the rest is kept. */
  add(
    bytes: Uint8Array,
    start: number,
    end: number,
    tell: (bytes: Uint8Array, start: number, end: number) => void,
  ): void {
    let at = start;
    while (!this.pieces && at < end && this.credit > 0) {
      const from = at;
      at = Math.min(end, at + this.credit);
      this.credit -= at - from;
      this.owed += at - from;
      tell(bytes, from, at);
    }
    if (at === end) return;
    this.pieces ??= [];
    this.pieces.push(copyBytes(bytes, at, end));
  }

  /** Tells what waits, as far as the credit goes. */
  deliver(tell: (bytes: Uint8Array, start: number, end: number) => void): void {
    for (let piece = this.pieces?.[0]; piece && this.credit > 0; piece = this.pieces?.[0]) {
      const start = this.told;
      const end = Math.min(piece.length, start + this.credit);
      this.credit -= end - start;
      this.owed += end - start;
      this.told = end;
      if (end === piece.length) {
        this.told = 0;
        this.pieces?.shift();
        if (this.pieces?.length === 0) this.pieces = undefined;
      }
      tell(piece, start, end);
    }
  }

  /** Padding: the peer may send as much again. */
  skip(bytes: number): void {
    this.owed += bytes;
  }

  /** What the peer is to be told that it may send again; 0 while that is little beside the window at its start. */
  takeOwed(first: number, keptBack: number): number {
    const step = this.keptBack > 0 ? first / 4 : (first + keptBack) / 2;
    if (this.ended || this.owed < step) return 0;
    const bytes = this.owed + this.keptBack;
    this.owed = 0;
    this.keptBack = 0;
    this.window += bytes;
    return bytes;
  }

  /** Nothing more is told. */
  clear(): void {
    this.credit = 0;
    this.pieces = undefined;
  }
}
