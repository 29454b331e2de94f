import { copyBytes } from '../../protocol/copy-bytes.js';
import type { QuicStream } from '../../quic/stream.js';

/**
 * Bytes beyond the holder's credit that QUIC may deliver, so that frame headers, header sections and skipped
 * frames are read without any. Also the most content that is kept for a holder who gives no credit.
 */
export const ALLOWANCE = 4096;

/** Bytes that are not content are granted again in steps of this size. */
const STEP = 1024;

export interface ContentSink {
  contentData(bytes: Uint8Array, start: number, end: number): void;
  contentEnd(): void;
}

/**
 * Turns credit for content into credit for the QUIC stream that carries it in DATA frames.
 * At any time: granted and not yet read + kept + owed = credit + ALLOWANCE.
 * A class because there are thousands.
 */
export class ContentFlow {
  private quic: QuicStream | undefined;
  private credit = 0;
  private owed = 0;
  /** Content that came without credit. */
  private kept: Uint8Array[] | undefined;
  private keptOffset = 0;
  private telling = false;
  private finished = false;
  private over = false;

  constructor(private readonly sink: ContentSink) {}

  /** Lets the first bytes in. */
  start(quic: QuicStream): void {
    this.quic = quic;
    quic.grant(ALLOWANCE + this.credit - quic.firstCredit);
  }

  grant(bytes: number): void {
    if (!(bytes > 0) || this.over) return;
    this.credit += bytes;
    if (!this.finished) this.quic?.grant(bytes);
    this.tellKept();
  }

  /** Content out of DATA frames: told at once as far as the credit goes, the rest is kept. */
  content(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    this.telling = true;
    while (at < end && this.credit > 0 && !this.kept && !this.over) {
      const from = at;
      at = Math.min(end, at + this.credit);
      this.credit -= at - from;
      this.sink.contentData(bytes, from, at);
    }
    this.telling = false;
    if (at === end || this.over) return;
    this.kept ??= [];
    this.kept.push(copyBytes(bytes, at, end));
  }

  /** The last byte came. */
  get complete(): boolean {
    return this.finished;
  }

  /** A copy of the content that waits for credit. */
  waiting(): Uint8Array {
    const { kept = [], keptOffset } = this;
    return Buffer.concat(kept).subarray(keptOffset);
  }

  /** What waits was told in another way: its credit is not used, and the peer may send as much again. */
  discardWaiting(): void {
    const bytes = this.waiting().length;
    this.kept = undefined;
    this.keptOffset = 0;
    this.overhead(bytes);
  }

  /** `bytes` were read that are not content. */
  overhead(bytes: number): void {
    if (this.finished || this.over) return;
    this.owed += bytes;
    if (this.owed < STEP) return;
    this.quic?.grant(this.owed);
    this.owed = 0;
  }

  /** The last byte came: the end is told once all content was. */
  finish(): void {
    this.finished = true;
    this.tellKept();
  }

  /** Tells nothing more. */
  stop(): void {
    this.over = true;
    this.kept = undefined;
  }

  private tellKept(): void {
    // Credit that is given while content is told is used by the call that tells.
    if (this.telling) return;
    this.telling = true;
    for (let chunk = this.kept?.[0]; chunk && this.credit > 0; chunk = this.kept?.[0]) {
      const start = this.keptOffset;
      const end = Math.min(chunk.length, start + this.credit);
      this.credit -= end - start;
      this.keptOffset = end;
      if (end === chunk.length) {
        this.keptOffset = 0;
        this.kept?.shift();
        if (this.kept?.length === 0) this.kept = undefined;
      }
      this.sink.contentData(chunk, start, end);
    }
    this.telling = false;
    if (!this.finished || this.over || this.kept) return;
    this.over = true;
    this.sink.contentEnd();
  }
}
