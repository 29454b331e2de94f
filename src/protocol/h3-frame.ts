import { H3Error } from './h3-error.js';
import { type TypeLengthValueHandler, TypeLengthValueParser, type ValuePlan } from './type-length-value.js';
import { readVarint, varintLength, varintSize, writeVarint } from './varint.js';

/** Frame types (RFC 9114 section 7.2). */
export const h3FrameTypes = {
  DATA: 0x00,
  HEADERS: 0x01,
  CANCEL_PUSH: 0x03,
  SETTINGS: 0x04,
  PUSH_PROMISE: 0x05,
  GOAWAY: 0x07,
  MAX_PUSH_ID: 0x0d,
} as const;

export interface H3FrameRules {
  /** The stream that the frames come on. */
  readonly stream: 'request' | 'control';
  /** Which side reads them. */
  readonly role: 'client' | 'server';
  /** Longest encoded field section in a HEADERS frame, bytes. */
  readonly maxHeaders: number;
  /** Longest SETTINGS frame, bytes; default 16,384. */
  readonly maxSettings?: number;
}

export interface H3FrameHandler {
  /** A HEADERS or SETTINGS payload; the view is valid only during the call. */
  frame(type: number, bytes: Uint8Array, start: number, end: number): void;
  /** The id in a GOAWAY, MAX_PUSH_ID or CANCEL_PUSH frame. */
  id?(type: number, id: number): void;
  /** A part of the content of DATA frames, never empty; the view is valid only during the call. */
  data?(bytes: Uint8Array, start: number, end: number): void;
}

export interface H3FrameParser {
  /** True between two frames. */
  readonly atBoundary: boolean;
  /** Bytes of the current DATA frame still to come; 0 outside one. */
  readonly dataLeft: number;
  /** Inside a DATA frame: what is missing of it will not be fed, and the next bytes are a frame. */
  passData(): void;
  /** Takes the next bytes of the stream; throws `H3Error`, after which it must not be fed again. */
  push(bytes: Uint8Array, start: number, end: number): void;
  /** The stream ended cleanly; throws `H3Error` inside a frame. */
  end(): void;
  /** Tells nothing more, also when called out of one of the handler's own calls. */
  stop(): void;
}

/** Longest SETTINGS frame where nothing is said, bytes. */
const MAX_SETTINGS = 16_384;

function unexpected(type: number, detail: string): H3Error {
  return new H3Error('H3_FRAME_UNEXPECTED', `frame type 0x${type.toString(16)} ${detail}`);
}

/** An id payload is exactly one varint (RFC 9114 section 7.1: surplus or missing bytes are an error). */
function readId(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end || start + varintLength(bytes[start] ?? 0) !== end) {
    throw new H3Error('H3_FRAME_ERROR', 'a frame that is not exactly one id');
  }
  return readVarint(bytes, start, end);
}

function bounded(length: number, limit: number, what: string, scope: 'connection' | 'stream'): ValuePlan {
  if (length > limit) throw new H3Error('H3_EXCESSIVE_LOAD', `${what} of ${length} bytes`, scope);
  return 'whole';
}

/** A class because there are thousands. */
class FrameParser implements H3FrameParser, TypeLengthValueHandler {
  private readonly parser = new TypeLengthValueParser(this);
  /** HEADERS on a request stream, SETTINGS on a control stream. */
  private first = true;

  constructor(
    private readonly rules: H3FrameRules,
    private readonly handler: H3FrameHandler,
  ) {}

  get atBoundary(): boolean {
    return this.parser.atBoundary;
  }

  get dataLeft(): number {
    return this.parser.currentType === h3FrameTypes.DATA ? this.parser.valueLeft : 0;
  }

  passData(): void {
    this.parser.pass();
  }

  push(bytes: Uint8Array, start: number, end: number): void {
    this.parser.push(bytes, start, end);
  }

  end(): void {
    // RFC 9114 section 7.1: a frame cut short by a clean end.
    if (!this.parser.atBoundary) throw new H3Error('H3_FRAME_ERROR', 'the stream ended inside a frame');
  }

  stop(): void {
    this.parser.stop();
  }

  // what the parser asks and tells

  begin(type: number, length: number): ValuePlan {
    const opening = this.first;
    const { rules } = this;
    const control = rules.stream === 'control';
    if (control && opening && type !== h3FrameTypes.SETTINGS) {
      // RFC 9114 section 6.2.1: nothing may precede SETTINGS, not even an unknown frame.
      throw new H3Error('H3_MISSING_SETTINGS', `the control stream begins with frame 0x${type.toString(16)}`);
    }
    switch (type) {
      case h3FrameTypes.DATA:
        if (control) throw unexpected(type, 'on the control stream');
        // RFC 9114 section 4.1: content follows the header section.
        if (opening) throw unexpected(type, 'before HEADERS');
        return 'pieces';
      case h3FrameTypes.HEADERS:
        if (control) throw unexpected(type, 'on the control stream');
        this.first = false;
        return bounded(length, rules.maxHeaders, 'a field section', 'stream');
      case h3FrameTypes.SETTINGS:
        if (!control) throw unexpected(type, 'on a request stream');
        // RFC 9114 section 7.2.4: sent once.
        if (!opening) throw unexpected(type, 'sent twice');
        this.first = false;
        return bounded(length, rules.maxSettings ?? MAX_SETTINGS, 'SETTINGS', 'connection');
      case h3FrameTypes.PUSH_PROMISE:
        if (control || rules.role === 'server') throw unexpected(type, 'here');
        // RFC 9114 section 7.2.5: no push id is ever allowed, as MAX_PUSH_ID is never sent.
        throw new H3Error('H3_ID_ERROR', 'a push that was not allowed');
      case h3FrameTypes.MAX_PUSH_ID:
        // RFC 9114 section 7.2.7: only clients send it.
        if (rules.role === 'client') throw unexpected(type, 'from a server');
        return this.idFrame(type, length);
      case h3FrameTypes.GOAWAY:
      case h3FrameTypes.CANCEL_PUSH:
        return this.idFrame(type, length);
      case 0x02: // PRIORITY
      case 0x06: // PING
      case 0x08: // WINDOW_UPDATE
      case 0x09: // CONTINUATION
        // RFC 9114 section 7.2.8 and 11.2.1: frames of HTTP/2 without a meaning here.
        throw unexpected(type, 'belongs to HTTP/2');
      default:
        // RFC 9114 section 9: unknown types are ignored.
        return 'skip';
    }
  }

  whole(type: number, bytes: Uint8Array, start: number, end: number): void {
    if (type === h3FrameTypes.HEADERS || type === h3FrameTypes.SETTINGS) {
      this.handler.frame(type, bytes, start, end);
      return;
    }
    const id = readId(bytes, start, end);
    // RFC 9114 section 7.2.3: nothing was ever promised that could be cancelled.
    if (type === h3FrameTypes.CANCEL_PUSH) throw new H3Error('H3_ID_ERROR', `push ${id} was never allowed`);
    this.handler.id?.(type, id);
  }

  piece(_type: number, bytes: Uint8Array, start: number, end: number): void {
    this.handler.data?.(bytes, start, end);
  }

  finished(): void {}

  private idFrame(type: number, length: number): ValuePlan {
    if (this.rules.stream !== 'control') throw unexpected(type, 'on a request stream');
    if (length < 1 || length > 8) throw new H3Error('H3_FRAME_ERROR', `an id frame of ${length} bytes`);
    return 'whole';
  }
}

/** Incremental parser of the frames of a request or control stream (RFC 9114 section 7). */
export function createH3FrameParser(rules: H3FrameRules, handler: H3FrameHandler): H3FrameParser {
  return new FrameParser(rules, handler);
}

/** Bytes of the header of a frame. */
export function h3FrameHeaderSize(type: number, length: number): number {
  return varintSize(type) + varintSize(length);
}

/** Writes the header of a frame whose payload has `length` bytes; returns the offset after it. */
export function writeH3FrameHeader(bytes: Uint8Array, at: number, type: number, length: number): number {
  return writeVarint(bytes, writeVarint(bytes, at, type), length);
}

/** One whole frame. */
export function encodeH3Frame(type: number, payload: Uint8Array): Uint8Array {
  const size = h3FrameHeaderSize(type, payload.length);
  const bytes = new Uint8Array(size + payload.length);
  writeH3FrameHeader(bytes, 0, type, payload.length);
  bytes.set(payload, size);
  return bytes;
}

/** A GOAWAY, MAX_PUSH_ID or CANCEL_PUSH frame. */
export function encodeH3IdFrame(type: number, id: number): Uint8Array {
  const payload = new Uint8Array(varintSize(id));
  writeVarint(payload, 0, id);
  return encodeH3Frame(type, payload);
}
