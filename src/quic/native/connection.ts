import { NumberTable } from '../../tables/number-table.js';
import type { SocketAddress } from '../address.js';
import type {
  DatagramOutcome,
  QuicCloseReason,
  QuicConnection,
  QuicConnectionHandler,
  QuicStatistics,
} from '../connection.js';
import type { DatagramSplice } from '../datagram-splice.js';
import type { EngineThread } from '../engine-thread.js';
import type { QuicStreamHandler } from '../stream.js';
import type { UdpSocket } from '../udp-socket.js';
import { datagramOverhead, type EngineContext } from './context.js';
import type { Endpoint } from './endpoints.js';
import { joinConnections } from './join.js';
import { operation } from './records.js';
import { NativeUdpSocket } from './sockets.js';
import { NativeStream } from './stream.js';

/** What a handshake said. */
export interface Handshake {
  readonly remoteAddress: SocketAddress;
  readonly localAddress: SocketAddress;
  readonly alpn: string;
  readonly serverName: string | undefined;
  readonly maxDatagramSize: number;
  readonly greeted: boolean;
  /** Bidirectional streams that the peer lets this side open in all. */
  readonly streamLimit: number;
  readonly peerCertificates: readonly Uint8Array[];
}

/** Local streams have odd keys; they are used again only after all others. */
const lastKey = 2 ** 32 - 1;

/** The face of one connection in the engine. */
export class NativeConnection implements QuicConnection {
  readonly alpn: string;
  readonly serverName: string | undefined;
  readonly peerCertificates: readonly Uint8Array[];
  readonly greeted: boolean;
  readonly thread?: EngineThread;
  remoteAddress: SocketAddress;
  localAddress: SocketAddress;
  maxDatagramSize: number;
  handler: QuicConnectionHandler | undefined;
  readonly #streams = new NumberTable<NativeStream>();
  readonly #requests = new Map<number, (statistics: QuicStatistics) => void>();
  readonly #datagramSendBuffer: number;
  readonly #firstCredit: number;
  #nextKey = 1;
  #nextRequest = 1;
  #streamLimit: number;
  #streamsAsked = 0;
  #queued = 0;
  #refused = 0;
  #open = true;
  #last: QuicStatistics | undefined;

  constructor(
    private readonly context: EngineContext,
    private readonly index: number,
    readonly endpoint: number,
    readonly id: number,
    { datagramSendBuffer, firstCredit }: Pick<Endpoint, 'datagramSendBuffer' | 'firstCredit'>,
    handshake: Handshake,
  ) {
    this.remoteAddress = handshake.remoteAddress;
    this.localAddress = handshake.localAddress;
    this.alpn = handshake.alpn;
    this.serverName = handshake.serverName;
    this.maxDatagramSize = handshake.maxDatagramSize;
    this.peerCertificates = handshake.peerCertificates;
    this.greeted = handshake.greeted;
    this.#streamLimit = handshake.streamLimit;
    this.#datagramSendBuffer = datagramSendBuffer;
    this.#firstCredit = firstCredit;
    if (context.thread) this.thread = context.thread;
  }

  get bidirectionalStreamsLeft(): number {
    return this.#streamLimit - this.#streamsAsked;
  }

  openBidirectional(handler: QuicStreamHandler): NativeStream {
    this.#streamsAsked += 1;
    return this.#openStream(true, handler);
  }

  openUnidirectional(handler: QuicStreamHandler): NativeStream {
    return this.#openStream(false, handler);
  }

  #openStream(bidirectional: boolean, handler: QuicStreamHandler): NativeStream {
    while (this.#streams.has(this.#nextKey)) this.#advanceKey();
    const key = this.#nextKey;
    this.#advanceKey();
    const stream = new NativeStream(this.context, this.index, key, bidirectional, true, -1, 0);
    stream.handler = handler;
    if (this.#open) {
      this.#streams.set(key, stream);
      this.context.submission.stream(operation.openStream, this.index, key, bidirectional ? 1 : 0);
    } else {
      queueMicrotask(() => stream.lost());
    }
    return stream;
  }

  #advanceKey(): void {
    this.#nextKey = this.#nextKey === lastKey ? 1 : this.#nextKey + 2;
  }

  sendDatagram(head: Uint8Array, body: Uint8Array, start: number, end: number): DatagramOutcome {
    const length = head.length + end - start;
    if (length > this.maxDatagramSize || this.maxDatagramSize === 0) return 'too-large';
    const cost = length + datagramOverhead;
    if (!this.#open || this.#queued + cost > this.#datagramSendBuffer) {
      this.#refused++;
      return 'dropped';
    }
    this.#queued += cost;
    this.context.submission.datagram(this.index, head, body, start, end);
    return 'sent';
  }

  spliceDatagrams(number: number, socket: UdpSocket): DatagramSplice | undefined {
    if (!this.#open || !(socket instanceof NativeUdpSocket)) return undefined;
    return socket.splice(this.context, this.index, number);
  }

  joinDatagrams(number: number, far: QuicConnection, farNumber: number): DatagramSplice | undefined {
    if (!(far instanceof NativeConnection) || far === this || far.context !== this.context) return undefined;
    if (!this.#open || !far.#open) return undefined;
    return joinConnections(this.context, this.index, number, far.index, farNumber);
  }

  close(code: number, reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.context.submission.close(operation.closeConnection, this.index, code, reason);
  }

  statistics(): Promise<QuicStatistics> {
    if (this.#last) return Promise.resolve(this.#last);
    return new Promise((resolve) => {
      const request = this.#nextRequest++;
      this.#requests.set(request, resolve);
      this.context.submission.stream(operation.statistics, this.index, request, 0);
    });
  }

  /** Moves a client to another local port, as a change of network does; for its endpoint only. */
  rebind(): Promise<void> {
    const endpoint = this.context.endpoints[this.endpoint];
    return endpoint ? endpoint.rebind() : Promise.reject(new Error('the connection is closed'));
  }

  /** Streams that have not finished. */
  get streamCount(): number {
    return this.#streams.size;
  }

  // what the engine tells

  stream(key: number): NativeStream | undefined {
    return this.#streams.get(key);
  }

  streamOpened(key: number, id: number, bidirectional: boolean): void {
    const stream = new NativeStream(
      this.context,
      this.index,
      key,
      bidirectional,
      false,
      id,
      this.#firstCredit,
    );
    this.#streams.set(key, stream);
    stream.handler = this.handler?.stream(stream);
  }

  streamDone(key: number): void {
    this.#streams.get(key)?.over();
    this.#streams.delete(key);
  }

  datagramSpace(bytes: number): void {
    this.#queued -= bytes;
  }

  resized(size: number): void {
    this.maxDatagramSize = size;
    this.handler?.maxDatagramSize(size);
  }

  streamsAllowed(limit: number): void {
    this.#streamLimit = limit;
    this.handler?.streamsLeft?.();
  }

  migrated(remote: SocketAddress): void {
    this.remoteAddress = remote;
    this.handler?.migrated?.(remote);
  }

  measured(request: number, statistics: QuicStatistics): void {
    const whole = {
      ...statistics,
      datagramsDroppedSending: statistics.datagramsDroppedSending + this.#refused,
    };
    // Request 0 is what the engine tells at the end.
    if (request === 0) this.#last = whole;
    this.#requests.get(request)?.(whole);
    this.#requests.delete(request);
  }

  ended(reason: QuicCloseReason): void {
    this.#open = false;
    const last = this.#last ?? nothing;
    this.#last = last;
    for (const resolve of this.#requests.values()) resolve(last);
    this.#requests.clear();
    const streams = this.#streams.values();
    this.#streams.clear();
    for (const stream of streams) guarded(() => stream.lost());
    const { handler } = this;
    // The engine has its number for some time more; what hangs on it need not wait.
    this.handler = undefined;
    handler?.closed(reason);
  }
}

/** Runs a part of a longer task; what it throws is thrown apart, and the rest goes on. */
export function guarded(task: () => void): void {
  try {
    task();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

const nothing: QuicStatistics = {
  rtt: 0,
  congestionWindow: 0,
  pathMtu: 0,
  bytesSent: 0,
  bytesReceived: 0,
  packetsSent: 0,
  packetsReceived: 0,
  packetsLost: 0,
  datagramsSent: 0,
  datagramsReceived: 0,
  datagramsDroppedSending: 0,
  datagramsDroppedReceiving: 0,
};
