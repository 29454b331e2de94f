import type { SocketAddress } from '../address.js';
import type { ByteSplice, ByteSpliceRequest } from '../byte-splice.js';
import type { DatagramSplice, TakeRest } from '../datagram-splice.js';
import type { Http2Options, Http2Session, Http2SessionHandler } from '../http2-session.js';
import {
  type TcpEnd,
  TcpOpenError,
  type TcpProblem,
  type TcpSocket,
  type TcpSocketHandler,
  type TcpSocketStatistics,
} from '../tcp-socket.js';
import type { UdpSocket } from '../udp-socket.js';
import { WriteGauge } from '../write-gauge.js';
import type { NativeTcpStatistics } from './binding.js';
import { guarded } from './connection.js';
import type { EngineContext } from './context.js';
import { errnoName, tcpProblem } from './errno.js';
import { NativeHttp2Session } from './http2-session.js';
import { operation } from './records.js';
import { NativeUdpSocket } from './sockets.js';

/** Largest credit in one record. */
const mostCredit = 2 ** 52;

/** More than this of a stream is never told before it is granted. */
const longestPrefix = 64 * 1024;

const nowhere: SocketAddress = { address: '0.0.0.0', port: 0 };

/** Settles a `connect`. */
export type Settle = (error?: Error) => void;

/** The face of one TCP connection in the engine; a class because there are thousands. */
export class NativeTcpSocket implements TcpSocket {
  localAddress: SocketAddress = nowhere;
  remoteAddress: SocketAddress = nowhere;
  handler: TcpSocketHandler | undefined;
  private readonly gauge: WriteGauge;
  #settle: Settle | undefined;
  /** What was told before whoever waits for `connect` had the socket. */
  #early: (() => void)[] | undefined;
  #open = true;
  /** Reset from here: only the outcome is told any more. */
  #cut = false;
  #ended = false;
  #last: NativeTcpStatistics | undefined;
  /** Told whether the engine moves the bytes. */
  #splicing: ((moves: boolean) => void) | undefined;
  /** Bytes that were told. */
  #received = 0;
  /** Whose the socket is, once it is one's. */
  session: NativeHttp2Session | undefined;

  constructor(
    private readonly context: EngineContext,
    readonly index: number,
    settle?: Settle,
  ) {
    this.#settle = settle;
    this.gauge = new WriteGauge(context.writeRoom);
  }

  get buffered(): number {
    return this.gauge.buffered;
  }

  grant(bytes: number): void {
    if (!this.#open || bytes <= 0) return;
    this.context.submission.number(operation.tcpGrant, this.index, Math.min(bytes, mostCredit));
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.#open || this.#ended) return true;
    this.context.submission.bytes(operation.tcpWrite, this.index, bytes, start, end);
    return this.gauge.written(end - start);
  }

  end(): void {
    this.endBy(operation.tcpEnd);
  }

  /** Nothing more is written. */
  protected endBy(kind: typeof operation.tcpEnd | typeof operation.tcpHangUp): void {
    if (!this.#open || this.#ended) return;
    this.#ended = true;
    this.context.submission.simple(kind, this.index);
  }

  reset(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#cut = true;
    this.gauge.clear();
    this.context.submission.simple(operation.tcpReset, this.index);
  }

  statistics(): TcpSocketStatistics {
    const { bytesSent, bytesReceived } = this.#counters();
    return { bytesSent, bytesReceived };
  }

  #counters(): NativeTcpStatistics {
    return this.#last ?? this.context.native.tcpStatistics(this.index);
  }

  http2(options: Http2Options, handler: Http2SessionHandler): Http2Session {
    const session = new NativeHttp2Session(this.context, this, options, handler);
    this.session = session;
    return session;
  }

  spliceTo(far: TcpSocket, request: ByteSpliceRequest): boolean {
    if (!this.#isFree || !(far instanceof NativeTcpSocket)) return false;
    return far.splice(operation.spliceSockets, this.context, this.index, 0, this.#received, request);
  }

  spliceCapsules(far: UdpSocket, rest: TakeRest): DatagramSplice | undefined {
    if (!this.#isFree || !(far instanceof NativeUdpSocket)) return undefined;
    return far.spliceCapsules(this.context, this.index, 0, rest);
  }

  /** It may be written to, and nobody else has its bytes. */
  get #isFree(): boolean {
    return this.#open && !this.#ended && !this.session && !this.#splicing;
  }

  /** As `QuicStream.spliceBytes`, of a stream or socket that has told `received` bytes, by this operation. */
  splice(
    kind: number,
    context: EngineContext,
    connection: number,
    stream: number,
    received: number,
    request: ByteSpliceRequest,
  ): boolean {
    if (!this.#open || this.#ended || context !== this.context || this.#splicing) return false;
    if (request.prefix.length > longestPrefix) return false;
    const { begun, capsule = 0, prefix } = request;
    const splice: ByteSplice = {
      statistics: () => {
        const { splicedIn, splicedOut } = this.#counters();
        return { bytesIn: splicedIn, bytesOut: splicedOut };
      },
    };
    this.#splicing = (moves) => begun(moves ? splice : undefined);
    const told = this.#received;
    context.submission.spliceBytes(kind, this.index, connection, stream, received, told, capsule, prefix);
    return true;
  }

  /** Ends an attempt to connect. */
  abandon(problem: TcpProblem, errno: string): void {
    const settle = this.#settle;
    this.#settle = undefined;
    this.handler = undefined;
    this.reset();
    settle?.(new TcpOpenError(problem, errno));
  }

  // what the engine tells

  opened(errno: number, local: SocketAddress, remote: SocketAddress): void {
    const settle = this.#settle;
    this.#settle = undefined;
    if (errno !== 0) {
      const name = errnoName(errno);
      this.#gone();
      settle?.(new TcpOpenError(tcpProblem(name), name));
      return;
    }
    this.localAddress = local;
    this.remoteAddress = remote;
    if (!settle) return;
    this.#early = [];
    settle();
    setImmediate(() => {
      const early = this.#early ?? [];
      this.#early = undefined;
      for (const tell of early) guarded(tell);
    });
  }

  spliced(moves: boolean): void {
    const told = this.#splicing;
    this.#splicing = undefined;
    told?.(moves);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#received += end - start;
    if (this.#open) this.handler?.data(bytes, start, end);
  }

  /** An attempt that has failed for another reason than an error of the system. */
  failed(error: Error): void {
    const settle = this.#settle;
    this.#settle = undefined;
    this.#gone();
    settle?.(error);
  }

  peerEnded(truncated: boolean): void {
    this.#tell(() => {
      if (!this.#cut && !this.session) this.handler?.end(truncated);
    });
  }

  space(bytes: number): void {
    if (!this.#open) return;
    if (this.gauge.went(bytes) && !this.#ended) this.handler?.drain();
  }

  /** `how` is 0 for a clean end, 1 for one by the peer or the machine, 2 for one from here. */
  closed(how: number, errno: number): void {
    if (how === 0) this.over({ kind: 'ended' });
    else this.over({ kind: 'reset', by: how === 1 ? 'peer' : 'local', errno: cutOff(errno) });
  }

  over(end: TcpEnd): void {
    const settle = this.#settle;
    this.#settle = undefined;
    this.#gone();
    this.spliced(false);
    if (settle) settle(new TcpOpenError('other', 'ECANCELED'));
    else this.#tell(() => (this.session ?? this.handler)?.closed(end));
  }

  #tell(what: () => void): void {
    if (this.#early) this.#early.push(what);
    else what();
  }

  #gone(): void {
    this.#last = this.#counters();
    this.#open = false;
    this.gauge.clear();
    this.context.native.forgetTcp(this.index);
    this.context.tcpSockets.delete(this.index);
    this.context.hold(-1);
  }
}

/** After the peer's end its reset is told as EPIPE: the same to us. */
function cutOff(errno: number): string {
  const name = errnoName(errno);
  return name === 'EPIPE' ? 'ECONNRESET' : name;
}
