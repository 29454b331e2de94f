import { H3Error } from '../../protocol/h3-error.js';
import {
  createH3FrameParser,
  type H3FrameHandler,
  type H3FrameParser,
  h3FrameHeaderSize,
  h3FrameTypes,
  writeH3FrameHeader,
} from '../../protocol/h3-frame.js';
import type { QuicStream } from '../../quic/stream.js';
import { ContentFlow, type ContentSink } from './content-flow.js';
import { readTrailers } from './field-sections.js';
import type { H3Session } from './session.js';

/** What the peer's content is, once its header section has told. */
export interface ContentRules {
  /** CONNECT: nothing but DATA may follow (RFC 9114 section 4.4). */
  readonly tunnel: boolean;
  /** HTTP datagrams have a meaning on this request. */
  readonly datagrams: boolean;
  /** The content's length, where the header section states it. */
  readonly length: number | undefined;
}

/** Whom a message is told. */
export interface MessageSink extends ContentSink {
  /** A header section before the content; may throw `H3Error`. */
  headReceived(bytes: Uint8Array, start: number, end: number): void;
  /** It ended before its header section came. */
  headMissing(): void;
  /** Something was thrown while it was read: an `H3Error` is the peer's fault. */
  failed(error: unknown): void;
}

/**
 * The peer's message on a request stream (RFC 9114 section 4.1): header sections, content, trailers. A class because
 * there are thousands.
 */
export class PeerMessage implements H3FrameHandler {
  rules: ContentRules | undefined;
  private readonly frames: H3FrameParser;
  private readonly flow: ContentFlow;
  private phase: 'head' | 'content' | 'trailers' = 'head';
  private contentBytes = 0;

  constructor(
    private readonly session: H3Session,
    private readonly sink: MessageSink,
  ) {
    this.frames = createH3FrameParser(session.frameRules, this);
    this.flow = new ContentFlow(sink);
  }

  /** Its header section has not come, or only informational ones. */
  get headAwaited(): boolean {
    return this.phase === 'head';
  }

  /** Lets the first bytes in. */
  start(quic: QuicStream): void {
    this.flow.start(quic);
  }

  grant(bytes: number): void {
    this.flow.grant(bytes);
  }

  /** The header section was whole: content follows. */
  expectContent(rules: ContentRules): void {
    this.rules = rules;
    this.phase = 'content';
  }

  push(bytes: Uint8Array, start: number, end: number): void {
    const before = this.contentBytes;
    try {
      this.frames.push(bytes, start, end);
    } catch (error) {
      this.sink.failed(error);
    }
    this.flow.overhead(end - start - (this.contentBytes - before));
  }

  /** The peer's side of the stream ended. */
  end(): void {
    try {
      this.frames.end();
      if (this.phase === 'head') {
        this.sink.headMissing();
        return;
      }
      if (this.rules?.length !== undefined && this.contentBytes !== this.rules.length) {
        throw new H3Error('H3_MESSAGE_ERROR', 'less content than announced', 'stream');
      }
    } catch (error) {
      this.sink.failed(error);
      return;
    }
    this.flow.finish();
  }

  /** Tells nothing more. */
  stop(): void {
    this.frames.stop();
    this.flow.stop();
  }

  /**
   * What a parser between two frames reads before what comes next, where that is a tunnel's content. Undefined
   * where it is not, or there is no telling.
   */
  unread(): Uint8Array | undefined {
    const { frames, flow, rules } = this;
    const plain = rules?.tunnel && rules.length === undefined && this.phase === 'content';
    // Within the header of a frame, or in one that is ignored, there is no telling what comes next.
    if (!plain || flow.complete || (!frames.atBoundary && frames.dataLeft === 0)) return undefined;
    return unreadFrame(flow.waiting(), frames.dataLeft);
  }

  /** What was unread is read by another. */
  handOver(): void {
    this.frames.passData();
    this.flow.discardWaiting();
  }

  // what the frame parser finds

  frame(_type: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.phase === 'head') {
      this.sink.headReceived(bytes, start, end);
      return;
    }
    // RFC 9114 section 4.4: only DATA once the CONNECT method has completed; section 4.1: one trailer section.
    if (this.phase === 'trailers' || this.rules?.tunnel) {
      throw new H3Error('H3_FRAME_UNEXPECTED', 'HEADERS after the message');
    }
    this.phase = 'trailers';
    readTrailers(bytes, start, end, this.session.limits.maxFieldSectionSize);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    if (this.phase !== 'content') throw new H3Error('H3_FRAME_UNEXPECTED', `DATA in the ${this.phase}`);
    this.contentBytes += end - start;
    // RFC 9114 section 4.1.2: content and content-length must agree.
    if (this.rules?.length !== undefined && this.contentBytes > this.rules.length) {
      throw new H3Error('H3_MESSAGE_ERROR', 'more content than announced', 'stream');
    }
    this.flow.content(bytes, start, end);
  }
}

/** The bytes of a DATA frame that ends `left` bytes after this content; empty for none. Undefined for a length that is none. */
function unreadFrame(content: Uint8Array, left: number): Uint8Array | undefined {
  const length = content.length + left;
  if (length === 0) return content;
  if (!Number.isSafeInteger(length)) return undefined;
  const head = h3FrameHeaderSize(h3FrameTypes.DATA, length);
  const bytes = new Uint8Array(head + content.length);
  writeH3FrameHeader(bytes, 0, h3FrameTypes.DATA, length);
  bytes.set(content, head);
  return bytes;
}
