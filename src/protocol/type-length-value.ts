import { encodeVarint, INCOMPLETE, readVarint, VarintReader, varintLength } from './varint.js';

/** What to do with a value: pass over it, hand it over whole, or hand it over piece by piece. */
export type ValuePlan = 'skip' | 'whole' | 'pieces';

/**
 * What the parser asks and tells. Calls come in the order of the bytes.
 * A type or length above 2^53 - 1 is `Infinity`.
 */
export interface TypeLengthValueHandler {
  /** A header was read; may throw to refuse it. What is planned `whole` must have a bounded length. */
  begin(type: number, length: number): ValuePlan;
  /** A value planned `whole`; the view is valid only during the call. */
  whole(type: number, bytes: Uint8Array, start: number, end: number): void;
  /** Part of a value planned `pieces`, never empty; the view is valid only during the call. */
  piece(type: number, bytes: Uint8Array, start: number, end: number): void;
  /** The last byte of a value planned `pieces` was told. */
  finished(type: number): void;
}

/** A buffer for split values up to this size is kept for the next one. */
const KEPT_BUFFER = 4096;

/** A type too large for a number is nobody's. */
function known(type: number, unknown: number): number {
  return Number.isSafeInteger(type) ? type : unknown;
}

/**
 * Incremental parser of sequences of varint type, varint length and value: capsules (RFC 9297 section 3.2)
 * and HTTP/3 frames (RFC 9114 section 7.1). It keeps bytes only of a header or of a value planned `whole`
 * that a piece has split. A class because there are thousands.
 */
export class TypeLengthValueParser {
  private readonly header = new VarintReader();
  private plan: ValuePlan = 'skip';
  private type = -1;
  /** -1 until the header is whole. */
  private length = -1;
  private left = 0;
  private buffer: Uint8Array | undefined;
  private stopped = false;

  constructor(private readonly handler: TypeLengthValueHandler) {}

  /** False inside a header or a value: the sequence must not end here. */
  get atBoundary(): boolean {
    return this.type < 0 && !this.header.partial;
  }

  /** Type of the value that the next byte belongs to; undefined between values and in a header. */
  get currentType(): number | undefined {
    return this.length < 0 ? undefined : this.type;
  }

  /** Bytes of the current value still to come. */
  get valueLeft(): number {
    return this.length < 0 ? 0 : this.left;
  }

  /** Takes the next piece. What the handler throws ends the parser: it must not be fed again. */
  push(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    while (!this.stopped && at < end) {
      if (this.length < 0) {
        // The usual case, a header within the piece, without the reader's bookkeeping.
        const lengthAt = at + varintLength(bytes[at] ?? 0);
        const whole = this.atBoundary && lengthAt < end ? readVarint(bytes, lengthAt, end) : INCOMPLETE;
        if (whole === INCOMPLETE) {
          at = this.readHeader(bytes, at, end);
          if (at === INCOMPLETE) return;
        } else {
          this.type = readVarint(bytes, at, end);
          this.length = whole;
          at = lengthAt + varintLength(bytes[lengthAt] ?? 0);
        }
        this.left = this.length;
        this.plan = this.handler.begin(this.type, this.length);
      }
      if (this.stopped) return;
      // An empty value is complete with its header.
      if (at < end || this.left === 0) at = this.value(bytes, at, end);
      if (this.left === 0) this.finish();
    }
  }

  /**
   * What another parser at a boundary would have to be fed to stand where this one does; in a value that is not
   * planned `whole`, to have as much left of it. `unknown` is a type that means nothing, for one that is skipped.
   */
  rest(unknown: number): Uint8Array {
    const { header, type, length, left, plan, buffer } = this;
    if (length < 0) {
      const first = type < 0 ? [] : [encodeVarint(known(type, unknown))];
      return Buffer.concat([...first, header.pending]);
    }
    const first = encodeVarint(plan === 'skip' ? unknown : type);
    if (plan === 'whole') {
      const value = left < length && buffer ? [buffer.subarray(0, length - left)] : [];
      return Buffer.concat([first, encodeVarint(length), ...value]);
    }
    return Buffer.concat([first, encodeVarint(Math.min(left, Number.MAX_SAFE_INTEGER))]);
  }

  /** Inside a value planned `pieces`: what is missing of it will not be fed, and the next bytes are a header. */
  pass(): void {
    if (this.length < 0 || this.plan !== 'pieces') return;
    this.left = 0;
    this.finish();
  }

  /** From here on nothing more is told, whatever is fed. */
  stop(): void {
    this.stopped = true;
    this.buffer = undefined;
  }

  /** Reads what the piece has of the header; returns the offset after it or INCOMPLETE. */
  private readHeader(bytes: Uint8Array, start: number, end: number): number {
    const { header } = this;
    let at = start;
    if (this.type < 0) {
      at = header.read(bytes, at, end);
      if (at === INCOMPLETE) return INCOMPLETE;
      this.type = header.value;
    }
    at = header.read(bytes, at, end);
    if (at !== INCOMPLETE) this.length = header.value;
    return at;
  }

  private finish(): void {
    const finished = this.type;
    this.type = -1;
    this.length = -1;
    if (this.plan === 'pieces') this.handler.finished(finished);
  }

  /** Adds to the split value, growing with what has come rather than with what was announced. */
  private keep(bytes: Uint8Array, start: number, end: number): void {
    const filled = this.length - this.left;
    const needed = filled + end - start;
    let buffer = this.buffer;
    if (!buffer || buffer.length < needed) {
      const larger = new Uint8Array(Math.min(this.length, Math.max(2 * needed, 2048)));
      if (buffer && filled > 0) larger.set(buffer.subarray(0, filled));
      buffer = larger;
      this.buffer = buffer;
    }
    buffer.set(bytes.subarray(start, end), filled);
  }

  private value(bytes: Uint8Array, start: number, end: number): number {
    const { plan, left, type, handler } = this;
    const stop = end - start < left ? end : start + left;
    if (plan !== 'whole') {
      this.left = left - (stop - start);
      if (plan === 'pieces' && stop > start) handler.piece(type, bytes, start, stop);
    } else if (left === this.length && stop - start === left) {
      this.left = 0;
      handler.whole(type, bytes, start, stop);
    } else {
      this.keep(bytes, start, stop);
      this.left = left - (stop - start);
      const buffer = this.buffer;
      if (this.left === 0 && buffer) {
        if (buffer.length > KEPT_BUFFER) this.buffer = undefined;
        handler.whole(type, buffer, 0, this.length);
      }
    }
    return stop;
  }
}
