import { NumberTable } from '../../tables/number-table.js';
import type { ByteSpliceRequest } from '../byte-splice.js';
import type { DatagramSplice, TakeRest } from '../datagram-splice.js';
import type { Http2Options, Http2Session, Http2SessionHandler, Http2Settings } from '../http2-session.js';
import type { TcpEnd, TcpSocket } from '../tcp-socket.js';
import type { UdpSocket } from '../udp-socket.js';
import { WriteGauge } from '../write-gauge.js';
import { guarded } from './connection.js';
import type { EngineContext } from './context.js';
import { operation } from './records.js';
import { NativeUdpSocket } from './sockets.js';
import { NativeTcpSocket } from './tcp-socket.js';

/** Largest credit in one record. */
const mostCredit = 2 ** 52;

/** Longest header block in one record, either way. */
const longestBlock = 128 * 1024;

const longestDebug = 1024;

/** What is known here of one stream. */
interface Stream {
  readonly gauge: WriteGauge;
  /** Bytes that were told. */
  received: number;
  sending: boolean;
  /** END_STREAM has not gone out. */
  unsent: boolean;
  receiving: boolean;
}

/** The face of one HTTP/2 session in the engine. */
export class NativeHttp2Session implements Http2Session {
  readonly #streams = new NumberTable<Stream>();
  readonly #client: boolean;
  #open = true;

  constructor(
    private readonly context: EngineContext,
    private readonly socket: NativeTcpSocket,
    options: Http2Options,
    private readonly handler: Http2SessionHandler,
  ) {
    const { role, greeted = false, settings, streamWindow = 0, connectionWindow, headerBlockSize } = options;
    this.#client = role === 'client';
    context.submission.http2Start(
      socket.index,
      this.#client,
      greeted,
      streamWindow,
      connectionWindow,
      Math.min(headerBlockSize, longestBlock),
      wordsOf(settings),
    );
  }

  headers(id: number, block: Uint8Array, endStream: boolean): void {
    if (block.length > longestBlock) throw new RangeError(`a header block of ${block.length} bytes`);
    if (!this.#open) return;
    let stream = this.#streams.get(id);
    if (!stream && (id % 2 === 1) === this.#client) stream = this.#add(id);
    if (!stream?.sending) return;
    this.context.submission.http2Headers(this.socket.index, id, endStream, block);
    if (endStream) stream.sending = false;
  }

  write(id: number, bytes: Uint8Array, start: number, end: number): boolean {
    const stream = this.#streams.get(id);
    if (!this.#open || !stream?.sending) return true;
    this.context.submission.write(operation.http2Write, this.socket.index, id, bytes, start, end);
    return stream.gauge.written(end - start);
  }

  end(id: number): void {
    const stream = this.#streams.get(id);
    if (!this.#open || !stream?.sending) return;
    stream.sending = false;
    this.context.submission.stream(operation.http2End, this.socket.index, id, 0);
  }

  reset(id: number, code: number): void {
    if (!this.#open) return;
    this.context.submission.stream(operation.http2Reset, this.socket.index, id, code);
    this.#drop(id);
  }

  grant(id: number, bytes: number): void {
    if (!this.#open || bytes <= 0 || !this.#streams.get(id)?.receiving) return;
    this.context.submission.streamCode(
      operation.http2Grant,
      this.socket.index,
      id,
      Math.min(bytes, mostCredit),
    );
  }

  buffered(id: number): number {
    return this.#streams.get(id)?.gauge.buffered ?? 0;
  }

  spliceBytes(id: number, socket: TcpSocket, request: ByteSpliceRequest): boolean {
    const stream = this.#openStream(id);
    if (!stream || !(socket instanceof NativeTcpSocket)) return false;
    const { context } = this;
    return socket.splice(operation.spliceHttp2, context, this.socket.index, id, stream.received, request);
  }

  spliceCapsules(id: number, far: UdpSocket, rest: TakeRest): DatagramSplice | undefined {
    if (!this.#openStream(id) || !(far instanceof NativeUdpSocket)) return undefined;
    return far.spliceCapsules(this.context, this.socket.index, id, rest);
  }

  /** The stream, while neither of its sides is over. */
  #openStream(id: number): Stream | undefined {
    const stream = this.#open ? this.#streams.get(id) : undefined;
    return stream?.sending && stream.receiving ? stream : undefined;
  }

  settings(values: Http2Settings): void {
    if (!this.#open) return;
    this.context.submission.record(operation.http2Settings, this.socket.index, wordsOf(values));
  }

  ping(payload: Uint8Array): void {
    if (!this.#open) return;
    this.context.submission.record(operation.http2Ping, this.socket.index, payload);
  }

  goaway(lastStream: number, code: number, debug: string): void {
    if (!this.#open) return;
    const text = Buffer.from(debug).subarray(0, longestDebug);
    this.context.submission.http2Goaway(this.socket.index, lastStream, code, text);
  }

  close(): void {
    if (!this.#open) return;
    this.#over();
    this.context.submission.simple(operation.http2Close, this.socket.index);
  }

  abort(): void {
    this.#over();
    this.socket.reset();
  }

  #add(id: number): Stream {
    const gauge = new WriteGauge(this.context.writeRoom);
    const stream = { gauge, received: 0, sending: true, unsent: true, receiving: true };
    this.#streams.set(id, stream);
    return stream;
  }

  /** Both sides are over. */
  #forget(id: number, stream: Stream): void {
    if (!stream.unsent && !stream.receiving) this.#drop(id);
  }

  #drop(id: number): void {
    this.#streams.get(id)?.gauge.clear();
    this.#streams.delete(id);
  }

  #over(): void {
    this.#open = false;
    for (const { gauge } of this.#streams.values()) gauge.clear();
    this.#streams.clear();
  }

  // what the engine tells

  headersTold(id: number, block: Uint8Array, endStream: boolean, opened: boolean): void {
    if (!this.#open) return;
    if (opened) this.#add(id);
    this.handler.headers(id, block, endStream);
  }

  data(id: number, bytes: Uint8Array, start: number, end: number): void {
    const stream = this.#streams.get(id);
    if (!stream) return;
    stream.received += end - start;
    this.handler.data(id, bytes, start, end);
  }

  peerEnded(id: number): void {
    const stream = this.#streams.get(id);
    if (!stream) return;
    stream.receiving = false;
    this.#forget(id, stream);
    this.handler.end(id);
  }

  peerReset(id: number, code: number): void {
    if (!this.#streams.has(id)) return;
    this.#drop(id);
    this.handler.reset(id, code);
  }

  space(id: number, bytes: number): void {
    const stream = this.#streams.get(id);
    if (stream?.gauge.went(bytes) && stream.sending) this.handler.drain(id);
  }

  sent(id: number): void {
    const stream = this.#streams.get(id);
    if (!stream) return;
    stream.unsent = false;
    this.#forget(id, stream);
    this.handler.sent(id);
  }

  settingsTold(values: Http2Settings): void {
    if (this.#open) this.handler.settings(values);
  }

  pong(payload: Uint8Array): void {
    if (this.#open) this.handler.pong(payload);
  }

  wentAway(lastStream: number, code: number, debug: string): void {
    if (this.#open) this.handler.goaway(lastStream, code, debug);
  }

  failed(code: number, reason: string): void {
    if (!this.#open) return;
    this.#over();
    this.handler.failed(code, reason);
  }

  closed(end: TcpEnd): void {
    this.#over();
    guarded(() => this.handler.closed(end));
  }
}

/** Ids and values, a word each. */
function wordsOf(settings: Http2Settings): Uint8Array {
  const pairs = Object.entries(settings).flatMap(([id, value]) => [Number(id), value]);
  return new Uint8Array(new Uint32Array(pairs).buffer);
}
