import { checkTrailers } from '../../protocol/field-syntax.js';
import { h2ErrorCodes } from '../../protocol/h2-error.js';
import type { FieldSection } from '../../protocol/hpack/decoder.js';
import { codeOf, type ResetReason, reasonOf } from '../../protocol/reset-reason.js';
import type { ByteSplice } from '../../quic/byte-splice.js';
import type { DatagramOutcome } from '../../quic/connection.js';
import type { DatagramSplice, TakeRest } from '../../quic/datagram-splice.js';
import type { TcpSocket } from '../../quic/tcp-socket.js';
import type { UdpSocket } from '../../quic/udp-socket.js';
import type { ByteEnd, StreamOutcome, TunnelStream, TunnelStreamHandler } from '../tunnel-stream.js';
import { type H2Connection, unprocessed } from './connection.js';
import { unlessMalformed } from './messages.js';

/** What the peer's content is, once its header section has told. */
export interface ContentRules {
  /** CONNECT: nothing but DATA may follow (RFC 9113 section 8.5). */
  readonly tunnel: boolean;
  /** The content's length, where the header section states it. */
  readonly length: number | undefined;
}

const NOTHING = new Uint8Array(0);

/**
 * One stream (RFC 9113 section 8.1), as both sides have it: halves, content and the one outcome. A class because
 * there are thousands.
 */
export abstract class RequestStream implements TunnelStream {
  outcome: StreamOutcome | undefined;
  protected handler: TunnelStreamHandler | undefined;
  /** -1 while it is not open. */
  protected streamId = -1;
  protected rules: ContentRules | undefined;
  protected sendingEnded = false;
  private sent = false;
  private receivingEnded = false;
  private trailers = false;
  private contentBytes = 0;
  private whenClosed: Promise<StreamOutcome> | undefined;
  private resolveClosed: ((outcome: StreamOutcome) => void) | undefined;

  constructor(protected readonly connection: H2Connection) {}

  // what the sides do differently

  /** A header section before the content. */
  protected abstract head(section: FieldSection, endStream: boolean): void;

  // TunnelStream

  get version(): 'h2' {
    return 'h2';
  }

  get id(): number {
    return this.streamId;
  }

  get buffered(): number {
    return this.outcome ? 0 : this.connection.session.buffered(this.streamId);
  }

  get nativeDatagrams(): boolean {
    return false;
  }

  get maxDatagramSize(): number {
    return 0;
  }

  get closed(): Promise<StreamOutcome> {
    this.whenClosed ??= this.outcome
      ? Promise.resolve(this.outcome)
      : new Promise((resolve) => {
          this.resolveClosed = resolve;
        });
    return this.whenClosed;
  }

  grant(bytes: number): void {
    if (!this.outcome && bytes > 0) this.connection.session.grant(this.streamId, bytes);
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.sendingEnded || this.outcome || start >= end) return true;
    return this.connection.session.write(this.streamId, bytes, start, end);
  }

  end(): void {
    if (this.sendingEnded || this.outcome) return;
    this.sendingEnded = true;
    this.connection.session.end(this.streamId);
  }

  sendDatagram(): DatagramOutcome {
    return 'too-large';
  }

  spliceBytes(
    far: TcpSocket | ByteEnd,
    capsule: number | undefined,
    begun: (splice: ByteSplice | undefined) => void,
  ): boolean {
    if ('stream' in far || !this.isOpenTunnel || this.contentBytes > 0) return false;
    return this.connection.session.spliceBytes(this.streamId, far, { capsule, prefix: NOTHING, begun });
  }

  spliceCapsules(far: UdpSocket, rest: TakeRest): DatagramSplice | undefined {
    if (!this.isOpenTunnel) return undefined;
    return this.connection.session.spliceCapsules(this.streamId, far, rest);
  }

  reset(reason: ResetReason): void {
    this.abort(reason);
  }

  // what a side and the connection ask for

  /** Whom everything is told from here on. */
  protected handle(handler: TunnelStreamHandler): void {
    this.handler = handler;
    if (this.outcome) handler.closed(this.outcome);
  }

  /** The peer's header section was whole: content follows. */
  protected expectContent(rules: ContentRules): void {
    this.rules = rules;
  }

  /** Ends both directions. */
  abort(reason: ResetReason): void {
    if (this.outcome) return;
    const code = this.streamId < 0 ? undefined : codeOf(reason, 'h2');
    if (code !== undefined) this.connection.session.reset(this.streamId, code);
    this.finish({ kind: 'reset', by: 'local', reason, code, version: 'h2' });
  }

  /** The outcome, without a word to the peer. */
  finish(outcome: StreamOutcome): void {
    if (this.outcome) return;
    this.outcome = outcome;
    this.connection.ended(this);
    this.handler?.closed(outcome);
    this.resolveClosed?.(outcome);
  }

  // what the session tells

  headersReceived(section: FieldSection, endStream: boolean): void {
    if (!this.rules) {
      this.head(section, endStream);
      return;
    }
    // RFC 9113 section 8.1: one trailer section, which ends the stream; section 8.5: none in a tunnel.
    const wrong = this.rules.tunnel || this.trailers || !endStream || section.oversized;
    this.trailers = true;
    const fits = !wrong && unlessMalformed(() => checkTrailers(section.fields) ?? true);
    if (!fits) this.abort('message-error');
  }

  dataReceived(bytes: Uint8Array, start: number, end: number): void {
    this.contentBytes += end - start;
    // RFC 9113 section 8.1.1: content and Content-Length must agree.
    const length = this.rules ? this.rules.length : 0;
    if (length !== undefined && this.contentBytes > length) this.abort('message-error');
    else this.handler?.data(bytes, start, end);
  }

  peerEnded(): void {
    if (!this.rules || (this.rules.length !== undefined && this.contentBytes !== this.rules.length)) {
      this.abort('message-error');
      return;
    }
    this.receivingEnded = true;
    this.handler?.end();
    this.settle();
  }

  peerReset(code: number): void {
    const { lastProcessed } = this.connection;
    // RFC 9113 section 8.1: behind a complete message it asks for no more bytes.
    if (code === h2ErrorCodes.NO_ERROR && this.receivingEnded) this.finish({ kind: 'ended' });
    else if (code === h2ErrorCodes.REFUSED_STREAM && lastProcessed !== undefined && this.id > lastProcessed) {
      this.finish(unprocessed);
    } else {
      this.finish({ kind: 'reset', by: 'peer', reason: reasonOf(code, 'h2'), code, version: 'h2' });
    }
  }

  drained(): void {
    if (!this.sendingEnded) this.handler?.drain();
  }

  /** The last byte and END_STREAM went out. */
  allSent(): void {
    this.sent = true;
    this.settle();
  }

  /** Neither side has ended, and the content is a tunnel's. */
  private get isOpenTunnel(): boolean {
    return !this.sendingEnded && !this.receivingEnded && !this.outcome && this.rules?.tunnel === true;
  }

  private settle(): void {
    if (this.sent && this.receivingEnded) this.finish({ kind: 'ended' });
  }
}
