import type { ByteSide } from './byte-side.js';

/**
 * What a source may deliver ahead, bytes: two of the engine's largest pieces, so that one is on its way while
 * the other is written. Behind a slow reader as much may wait beyond the sink's own high-water mark.
 */
export const FLOW_WINDOW = 128 * 1024;

/**
 * One direction between two sides: what one delivers is written to the other, by credit. The source is granted up to
 * `window` bytes, and nothing while the sink is full. A class because there are thousands.
 */
export class ByteFlow {
  bytes = 0;
  /** The source ended. */
  ended = false;
  private source: ByteSide | undefined;
  private sink: ByteSide | undefined;
  private blocked = false;
  private abandoned: (() => void) | undefined;
  /** Granted and not delivered. */
  private outstanding = 0;

  constructor(private readonly window = FLOW_WINDOW) {}

  start(source: ByteSide, sink: ByteSide): void {
    this.source = source;
    this.sink = sink;
    if (this.ended) sink.end();
    else this.refill();
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.outstanding -= end - start;
    if (this.abandoned) {
      this.abandoned();
      return;
    }
    this.bytes += end - start;
    if (this.sink && !this.sink.write(bytes, start, end)) this.blocked = true;
    if (!this.blocked && this.outstanding <= this.window / 2) this.refill();
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.sink?.end();
  }

  /** The sink takes bytes again. */
  drain(): void {
    if (!this.blocked) return;
    this.blocked = false;
    this.refill();
  }

  /** Nobody reads what comes any more: the next byte calls `cut`, which has to reset the source. */
  abandon(cut: () => void): void {
    this.abandoned = cut;
    this.blocked = false;
    this.refill();
  }

  private refill(): void {
    const missing = this.window - this.outstanding;
    if (missing <= 0 || this.ended) return;
    this.outstanding = this.window;
    this.source?.grant(missing);
  }
}
