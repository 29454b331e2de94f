import type { ByteSplice, ByteSpliceRequest, StreamToJoin } from '../byte-splice.js';
import type { QuicStream, QuicStreamHandler } from '../stream.js';
import type { TcpSocket } from '../tcp-socket.js';
import { WriteGauge } from '../write-gauge.js';
import type { NativeStreamToJoin } from './binding.js';
import type { EngineContext } from './context.js';
import { operation } from './records.js';
import { joinStreams, type NativeStreamJoin } from './stream-join.js';
import { NativeTcpSocket } from './tcp-socket.js';

/** The face of one stream in the engine; a class because there are thousands. */
export class NativeStream implements QuicStream {
  id: number;
  handler: QuicStreamHandler | undefined;
  private readonly gauge: WriteGauge;
  #sending: boolean;
  #ended = false;
  #receiving: boolean;
  #received = 0;
  #join: NativeStreamJoin | undefined;

  constructor(
    private readonly context: EngineContext,
    private readonly connection: number,
    private readonly key: number,
    readonly bidirectional: boolean,
    readonly local: boolean,
    id: number,
    readonly firstCredit: number,
  ) {
    this.id = id;
    this.gauge = new WriteGauge(context.writeRoom);
    this.#sending = local || bidirectional;
    this.#receiving = !local || bidirectional;
  }

  get buffered(): number {
    return this.gauge.buffered;
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.#sending || this.#ended) return true;
    this.context.submission.write(operation.write, this.connection, this.key, bytes, start, end);
    return this.gauge.written(end - start);
  }

  end(): void {
    if (!this.#sending || this.#ended) return;
    this.#ended = true;
    this.context.submission.stream(operation.end, this.connection, this.key, 0);
  }

  reset(code: number): void {
    if (!this.#sending) return;
    this.#sending = false;
    this.gauge.clear();
    this.context.submission.streamCode(operation.reset, this.connection, this.key, code);
  }

  stop(code: number): void {
    if (!this.#receiving) return;
    this.#receiving = false;
    this.context.submission.streamCode(operation.stop, this.connection, this.key, code);
  }

  grant(bytes: number): void {
    if (!this.#receiving || bytes <= 0) return;
    this.context.submission.streamCode(operation.grant, this.connection, this.key, Math.min(bytes, 2 ** 52));
  }

  spliceBytes(socket: TcpSocket, request: ByteSpliceRequest): boolean {
    if (!this.#sending || this.#ended || !this.#receiving || !(socket instanceof NativeTcpSocket))
      return false;
    const { context, connection, key } = this;
    return socket.splice(operation.spliceBytes, context, connection, key, this.#received, request);
  }

  joinBytes(
    near: StreamToJoin,
    far: { readonly stream: QuicStream } & StreamToJoin,
    begun: (splice: ByteSplice | undefined) => void,
  ): boolean {
    const other = far.stream;
    if (!(other instanceof NativeStream) || !this.joinable || !other.joinable) return false;
    if (other.context !== this.context || other.connection === this.connection) return false;
    const told = (splice: ByteSplice | undefined): void => {
      // They may be asked for again.
      if (!splice) {
        this.#join = undefined;
        other.#join = undefined;
      }
      begun(splice);
    };
    this.#join = joinStreams(this.context, this.toJoin(near), other.toJoin(far), told);
    other.#join = this.#join;
    return true;
  }

  private get joinable(): boolean {
    return this.#sending && !this.#ended && this.#receiving && !this.#join;
  }

  private toJoin({ capsule = 0, prefix }: StreamToJoin): NativeStreamToJoin {
    return { connection: this.connection, stream: this.key, received: this.#received, capsule, prefix };
  }

  setPriority(priority: number): void {
    if (!this.#sending) return;
    this.context.submission.stream(operation.priority, this.connection, this.key, priority);
  }

  // what the engine tells

  opened(id: number): void {
    this.id = id;
    this.handler?.opened?.(id);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#received += end - start;
    if (this.#receiving) this.handler?.data(bytes, start, end);
  }

  peerEnded(): void {
    if (!this.#receiving) return;
    this.#receiving = false;
    this.handler?.end();
  }

  peerReset(code: number): void {
    if (!this.#receiving) return;
    this.#receiving = false;
    this.handler?.reset(code);
  }

  peerStopped(code: number): void {
    if (!this.#sending) return;
    this.#sending = false;
    this.gauge.clear();
    this.handler?.stopped(code);
  }

  space(bytes: number): void {
    if (!this.#sending) return;
    if (this.gauge.went(bytes) && !this.#ended) this.handler?.drain();
  }

  /** The connection is gone. */
  lost(): void {
    this.over();
    this.handler?.lost();
  }

  /** Both sides are over. */
  over(): void {
    this.#sending = false;
    this.#receiving = false;
    this.gauge.clear();
    this.#join?.over();
  }
}
