import { H3Error, h3ErrorCodes } from '../../protocol/h3-error.js';
import { h3FrameTypes, writeH3FrameHeader } from '../../protocol/h3-frame.js';
import { codeOf, type ResetReason, reasonOf } from '../../protocol/reset-reason.js';
import type { ByteSplice } from '../../quic/byte-splice.js';
import type { DatagramOutcome } from '../../quic/connection.js';
import type { DatagramSplice } from '../../quic/datagram-splice.js';
import type { QuicStream } from '../../quic/stream.js';
import type { TcpSocket } from '../../quic/tcp-socket.js';
import type { UdpSocket } from '../../quic/udp-socket.js';
import type { Place } from '../../tables/line.js';
import type {
  ByteEnd,
  DatagramEnd,
  StreamOutcome,
  TunnelStream,
  TunnelStreamHandler,
} from '../tunnel-stream.js';
import { DatagramSender } from './datagram-sender.js';
import { type ContentRules, type MessageSink, PeerMessage } from './peer-message.js';
import type { H3Session } from './session.js';

const { H3_NO_ERROR, H3_REQUEST_CANCELLED } = h3ErrorCodes;

/**
 * One request stream (RFC 9114 section 4.1), as both sides have it: halves, datagrams and the one outcome. A class
 * because there are thousands.
 */
export abstract class RequestStream implements TunnelStream, MessageSink {
  outcome: StreamOutcome | undefined;
  /** Among the requests of its connection. */
  place: Place<RequestStream> | undefined;
  protected quic: QuicStream | undefined;
  private handler: TunnelStreamHandler | undefined;
  private readonly message: PeerMessage;
  /** There on a request that has HTTP datagrams. */
  private sender: DatagramSender | undefined;
  private splice: DatagramSplice | undefined;
  private sending: 'open' | 'ended' | 'stopped' = 'open';
  private receiving: 'open' | 'ended' = 'open';
  /** The code of the peer's STOP_SENDING. */
  private stopCode: number | undefined;
  private whenClosed: Promise<StreamOutcome> | undefined;
  private resolveClosed: ((outcome: StreamOutcome) => void) | undefined;

  constructor(protected readonly session: H3Session) {
    this.message = new PeerMessage(session, this);
  }

  // what the sides do differently

  /** A header section before the content; may throw `H3Error`. */
  protected abstract head(bytes: Uint8Array, start: number, end: number): void;
  /** The peer's header section is larger than the limit. */
  protected abstract oversized(): void;
  /** The peer's side ended before its header section came. */
  protected abstract incomplete(): void;
  /** This side has ended and the peer's goes on. */
  protected abstract sendingEnded(): void;
  /** There is an outcome; the holder is told next. */
  protected abstract ended(outcome: StreamOutcome): void;

  // TunnelStream

  get version(): 'h3' {
    return 'h3';
  }

  get id(): number {
    return this.quic?.id ?? -1;
  }

  get buffered(): number {
    return this.outcome ? 0 : (this.quic?.buffered ?? 0);
  }

  get nativeDatagrams(): boolean {
    return this.sender !== undefined && this.session.datagrams;
  }

  get maxDatagramSize(): number {
    return this.sender && this.session.datagrams ? this.sender.maxSize : 0;
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
    if (!this.outcome) this.message.grant(bytes);
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    const { quic } = this;
    if (!quic || this.sending !== 'open' || this.outcome || start >= end) return true;
    this.frameHeader(quic, h3FrameTypes.DATA, end - start);
    return quic.write(bytes, start, end);
  }

  writeFramed(head: Uint8Array, headEnd: number, body: Uint8Array, start: number, end: number): boolean {
    const { quic } = this;
    if (!quic || this.sending !== 'open' || this.outcome) return true;
    this.frameHeader(quic, h3FrameTypes.DATA, headEnd + end - start);
    quic.write(head, 0, headEnd);
    return quic.write(body, start, end);
  }

  end(): void {
    if (this.sending !== 'open' || this.outcome) return;
    this.sending = 'ended';
    this.stopDatagrams();
    this.quic?.end();
    if (this.receiving === 'ended') this.settle();
    else this.sendingEnded();
  }

  sendDatagram(head: Uint8Array, body: Uint8Array, start: number, end: number): DatagramOutcome {
    const { sender } = this;
    // RFC 9297 section 2.1: none before both sides agreed, none once the send side is closed.
    if (!sender || !this.session.datagrams || this.sending !== 'open' || this.outcome) return 'dropped';
    return sender.send(head, body, start, end);
  }

  spliceDatagrams(far: UdpSocket | DatagramEnd): DatagramSplice | undefined {
    if (!this.spliceable) return undefined;
    const { quic } = this.session;
    if ('number' in far) {
      this.splice = quic.joinDatagrams?.(this.id / 4, far.connection, far.number);
      if (this.splice) far.spliced(this.splice);
    } else {
      this.splice = quic.spliceDatagrams?.(this.id / 4, far);
    }
    return this.splice;
  }

  datagramEnd(): DatagramEnd | undefined {
    if (!this.spliceable) return undefined;
    return {
      connection: this.session.quic,
      number: this.id / 4,
      spliced: (splice) => {
        this.splice = splice;
      },
    };
  }

  spliceBytes(
    far: TcpSocket | ByteEnd,
    capsule: number | undefined,
    begun: (splice: ByteSplice | undefined) => void,
  ): boolean {
    const near = this.byteEnd(capsule);
    if (!near) return false;
    const { stream, prefix } = near;
    const isStream = 'stream' in far;
    const told = (splice: ByteSplice | undefined): void => {
      if (splice) near.handOver();
      if (splice && isStream) far.handOver();
      begun(splice);
    };
    const asked = isStream
      ? stream.joinBytes?.(near, far, told)
      : stream.spliceBytes?.(far, { capsule, prefix, begun: told });
    return asked ?? false;
  }

  byteEnd(capsule: number | undefined): ByteEnd | undefined {
    const { quic, message } = this;
    const open = this.sending === 'open' && this.receiving === 'open' && !this.outcome;
    const prefix = open ? message.unread() : undefined;
    if (!quic || !prefix) return undefined;
    const handOver = (): void => {
      if (!this.outcome) message.handOver();
    };
    return { stream: quic, capsule, prefix, handOver };
  }

  reset(reason: ResetReason): void {
    this.abort(reason);
  }

  // what a side and the session ask for

  /** The QUIC stream is there; reading begins. */
  attach(quic: QuicStream): void {
    this.quic = quic;
    if (quic.id >= 0) this.quicOpened(quic.id);
    this.message.start(quic);
  }

  /** Whom everything is told from here on. */
  protected handle(handler: TunnelStreamHandler): void {
    this.handler = handler;
    if (this.outcome) handler.closed(this.outcome);
  }

  /** HTTP datagrams are sent and taken on this request. */
  protected allowDatagrams(): void {
    this.sender = new DatagramSender(this.session.quic, this.id);
  }

  /** The peer's header section was whole: content follows. Datagrams that waited for it are told. */
  protected expectContent(rules: ContentRules): void {
    if (this.outcome) return;
    this.message.expectContent(rules);
    this.session.early.take(this.id / 4, (payload) => {
      this.datagramReceived(payload, 0, payload.length);
      return this.outcome === undefined;
    });
  }

  protected sendHead(section: Uint8Array): void {
    const { quic } = this;
    if (!quic || this.sending !== 'open' || this.outcome) return;
    this.frameHeader(quic, h3FrameTypes.HEADERS, section.length);
    quic.write(section, 0, section.length);
  }

  /** An HTTP datagram for this stream; the view is valid only during the call. */
  datagramReceived(bytes: Uint8Array, start: number, end: number): void {
    // RFC 9297 section 2.1: silently dropped once the receive side is closed.
    if (this.outcome || this.receiving === 'ended') return;
    const { rules } = this.message;
    if (!rules) this.session.early.keep(this.id / 4, true, bytes, start, end);
    else if (rules.datagrams) this.handler?.datagram(bytes, start, end);
    // RFC 9297 section 2: no semantics for datagrams here, so the stream is aborted.
    else this.abort('datagram-error');
  }

  maxDatagramSizeChanged(): void {
    if (this.nativeDatagrams && !this.outcome) this.handler?.maxDatagramSize?.(this.maxDatagramSize);
  }

  /** Ends both directions. */
  abort(reason: ResetReason, code = codeOf(reason, 'h3')): void {
    this.abandon({ kind: 'reset', by: 'local', reason, code, version: 'h3' }, code);
  }

  /** Gives the request up: both directions are aborted with the code, and the holder is told the outcome. */
  abandon(outcome: StreamOutcome, code: number = H3_REQUEST_CANCELLED): void {
    if (this.outcome) return;
    this.quic?.reset(code);
    if (this.receiving === 'open') this.quic?.stop(code);
    this.finish(outcome);
  }

  /** The peer may stop sending, its message is not needed further (RFC 9114 section 4.1). */
  protected ignoreRest(): void {
    if (this.outcome || this.receiving === 'ended') return;
    this.quic?.stop(H3_NO_ERROR);
    this.receiving = 'ended';
    this.settle();
  }

  /** The outcome, without a word to the peer. */
  finish(outcome: StreamOutcome): void {
    if (this.outcome) return;
    this.outcome = outcome;
    this.message.stop();
    this.stopDatagrams();
    this.session.ended(this);
    this.ended(outcome);
    this.handler?.closed(outcome);
    this.resolveClosed?.(outcome);
  }

  // what QUIC tells (request-events.ts)

  quicOpened(id: number): void {
    if (this.outcome) return;
    this.session.opened(this, id);
    this.sender?.opened(id);
  }

  quicData(bytes: Uint8Array, start: number, end: number): void {
    if (!this.outcome) this.message.push(bytes, start, end);
  }

  quicEnd(): void {
    if (!this.outcome) this.message.end();
  }

  quicReset(code: number): void {
    if (this.outcome) return;
    this.quic?.reset(reasonOf(code, 'h3') === 'unknown' ? H3_REQUEST_CANCELLED : code);
    this.finishByPeer(code);
  }

  quicStopped(code: number): void {
    if (this.outcome || this.stopCode !== undefined) return;
    const wasOpen = this.sending === 'open';
    this.stopCode = code;
    this.sending = 'stopped';
    this.stopDatagrams();
    // RFC 9000 section 3.5: answered with RESET_STREAM, the code copied.
    this.quic?.reset(code);
    if (!this.handler) this.abort('cancelled');
    else if (this.receiving === 'ended') this.settle();
    else if (wasOpen || code !== H3_NO_ERROR) this.handler.peerStopped?.(reasonOf(code, 'h3'));
  }

  quicDrain(): void {
    if (!this.outcome && this.sending === 'open') this.handler?.drain();
  }

  // what the peer's message tells

  headReceived(bytes: Uint8Array, start: number, end: number): void {
    this.head(bytes, start, end);
  }

  headMissing(): void {
    this.receiving = 'ended';
    this.incomplete();
  }

  contentData(bytes: Uint8Array, start: number, end: number): void {
    this.handler?.data(bytes, start, end);
  }

  contentEnd(): void {
    this.receiving = 'ended';
    this.splice?.stop();
    this.handler?.end();
    this.settle();
  }

  failed(error: unknown): void {
    if (!(error instanceof H3Error)) throw error;
    if (error.scope === 'connection') this.session.fail(error.code, error.message);
    else if (error.codeName === 'H3_EXCESSIVE_LOAD' && this.message.headAwaited) this.oversized();
    else this.abort(reasonOf(error.code, 'h3'), error.code);
  }

  // within

  /** RFC 9297 section 2.1: no datagrams before both sides agreed, none once a side is closed. */
  private get spliceable(): boolean {
    const open = this.sending === 'open' && this.receiving === 'open' && !this.outcome && this.id >= 0;
    return open && this.session.datagrams && this.sender !== undefined && this.splice === undefined;
  }

  private stopDatagrams(): void {
    this.splice?.stop();
    this.sender?.stop();
  }

  private frameHeader(quic: QuicStream, type: number, length: number): void {
    const { scratch } = this.session;
    quic.write(scratch, 0, writeH3FrameHeader(scratch, 0, type, length));
  }

  private finishByPeer(code: number): void {
    this.finish({ kind: 'reset', by: 'peer', reason: reasonOf(code, 'h3'), code, version: 'h3' });
  }

  /** The peer's direction is done; when this side's is too, in whatever way, that is the outcome. */
  private settle(): void {
    if (this.stopCode !== undefined && this.stopCode !== H3_NO_ERROR) this.finishByPeer(this.stopCode);
    else if (this.sending !== 'open') this.finish({ kind: 'ended' });
  }
}
