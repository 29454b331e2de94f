import { EventEmitter } from 'node:events';
import type { AddressInfo } from 'node:net';
import { BautaError } from '../protocol/bauta-error.js';
import type { OpenUdpTunnel } from '../tunnel/udp/open-udp.js';
import { errorOfEnd, type TunnelEnd, type TunnelOwner, tunnelEndOf } from './tunnel-end.js';
import { createUnreadDatagrams, type UnreadDatagrams } from './unread-datagrams.js';

/** Counters of a tunnel since it was opened: datagrams, and bytes of payload. */
export interface UdpStats {
  readonly sent: number;
  readonly received: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Not sent because a queue was full. */
  readonly droppedSending: number;
  /** Not sent because larger than `maxDatagramSize`. */
  readonly droppedTooLarge: number;
  /** Received, and given up unread because newer ones came. */
  readonly droppedUnread: number;
  /** Received and waiting to be read. */
  readonly unread: number;
}

/** Where a datagram came from, as `node:dgram` tells it. */
export interface DatagramInfo extends AddressInfo {
  /** Bytes. */
  readonly size: number;
}

/**
 * A UDP association with one target through the proxy. Read it by `message` events (as `node:dgram`) or by
 * iteration; while nobody reads, at most 1,024 datagrams and 1 MiB are kept, the oldest given up first.
 *
 * Events: `message` (Buffer, DatagramInfo), `close` (TunnelEnd).
 */
export interface UdpTunnel extends AsyncIterable<Buffer>, AsyncDisposable, EventEmitter {
  /**
   * Sends one datagram; text as UTF-8. As with any UDP, it may be lost without a word. The callback gets
   * `ERR_PAYLOAD_TOO_LARGE` for one that cannot be carried and `ERR_CLOSED` after the end, else null.
   */
  send(data: Uint8Array | string, callback?: (error: Error | null) => void): void;
  /** Sends one datagram and tells at once what became of it; `dropped` also after the end. */
  trySend(data: Uint8Array): 'sent' | 'dropped' | 'too-large';
  /** Largest payload that can be sent now, bytes; changes with the path. */
  readonly maxDatagramSize: number;
  stats(): UdpStats;
  /** The target: its address where the proxy tells it, else the host as it was asked for. */
  remoteAddress(): AddressInfo;
  /** Keeps the process running while the tunnel is open (the default). */
  ref(): this;
  /** Lets the process end although the tunnel is open, once all tunnels of its client say so. */
  unref(): this;
  /** Ends the tunnel in order; the callback runs when it is closed. Idempotent. */
  close(callback?: () => void): this;
  /** Resolves when the tunnel is over, with how; never rejects. */
  readonly closed: Promise<TunnelEnd>;
}

/** What is kept for a program that does not read. */
export const UNREAD = { count: 1_024, bytes: 1_048_576 };

interface Reader {
  readonly resolve: (result: IteratorResult<Buffer, undefined>) => void;
  readonly reject: (error: BautaError) => void;
}

/** The public face of an open tunnel; `deliver` is its way in. */
export class ClientUdpTunnel extends EventEmitter implements UdpTunnel {
  readonly closed: Promise<TunnelEnd>;
  readonly #raw: OpenUdpTunnel;
  readonly #remote: AddressInfo;
  readonly #owner: TunnelOwner;
  readonly #unread: UnreadDatagrams = createUnreadDatagrams(UNREAD);
  readonly #readers: Reader[] = [];
  #end: TunnelEnd | undefined;

  constructor(raw: OpenUdpTunnel, remote: AddressInfo, owner: TunnelOwner) {
    super();
    this.#raw = raw;
    this.#remote = remote;
    this.#owner = owner;
    owner.hold(true);
    this.closed = raw.closed.then((outcome) => this.#finish(tunnelEndOf(outcome, owner.closing)));
    this.on('newListener', (name) => {
      if (name === 'message') queueMicrotask(() => this.#flush());
    });
  }

  /** One received payload; copied before this returns. */
  deliver(bytes: Uint8Array, start: number, end: number): void {
    const datagram = Buffer.allocUnsafe(end - start);
    datagram.set(bytes.subarray(start, end));
    const reader = this.#readers.shift();
    if (reader) reader.resolve({ done: false, value: datagram });
    else if (this.listenerCount('message') === 0) this.#unread.push(datagram);
    else {
      // What came before the listener is told first.
      this.#flush();
      this.#emitMessage(datagram);
    }
  }

  send(data: Uint8Array | string, callback?: (error: Error | null) => void): void {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    const outcome = this.trySend(bytes);
    if (!callback) return;
    let error: BautaError | null = null;
    if (outcome === 'too-large') {
      error = new BautaError('ERR_PAYLOAD_TOO_LARGE', {
        detail: `${bytes.length} bytes; this tunnel carries ${this.maxDatagramSize} now`,
      });
    } else if (this.#end) {
      error = new BautaError('ERR_CLOSED');
    }
    process.nextTick(callback, error);
  }

  trySend(data: Uint8Array): 'sent' | 'dropped' | 'too-large' {
    return this.#raw.send(data, 0, data.length);
  }

  get maxDatagramSize(): number {
    return this.#raw.maxPayloadSize;
  }

  stats(): UdpStats {
    const counters = this.#raw.statistics();
    return {
      sent: counters.payloadsOut,
      received: counters.payloadsIn,
      bytesSent: counters.bytesOut,
      bytesReceived: counters.bytesIn,
      droppedSending: counters.droppedOutQueueFull,
      droppedTooLarge: counters.droppedOutTooLarge,
      droppedUnread: this.#unread.dropped,
      unread: this.#unread.length,
    };
  }

  remoteAddress(): AddressInfo {
    return { ...this.#remote };
  }

  ref(): this {
    if (!this.#end) this.#owner.hold(true);
    return this;
  }

  unref(): this {
    if (!this.#end) this.#owner.hold(false);
    return this;
  }

  close(callback?: () => void): this {
    if (callback) void this.closed.then(() => callback());
    this.#raw.end();
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close().closed;
  }

  /** Reads what is unread, then what comes; ends with the tunnel, and throws when that was not in order. */
  [Symbol.asyncIterator](): AsyncIterator<Buffer, undefined> {
    return {
      next: () => this.#next(),
      return: async () => ({ done: true, value: undefined }),
    };
  }

  #next(): Promise<IteratorResult<Buffer, undefined>> {
    const datagram = this.#unread.shift();
    if (datagram) return Promise.resolve({ done: false, value: datagram });
    if (this.#end) {
      const error = errorOfEnd(this.#end);
      return error ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined });
    }
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject });
    });
  }

  #flush(): void {
    while (this.listenerCount('message') > 0) {
      const datagram = this.#unread.shift();
      if (!datagram) return;
      this.#emitMessage(datagram);
    }
  }

  #emitMessage(datagram: Buffer): void {
    const info: DatagramInfo = { ...this.#remote, size: datagram.length };
    try {
      this.emit('message', datagram, info);
    } catch (error) {
      // A listener's mistake is the program's: it must not stop the delivery to other tunnels.
      process.nextTick(() => {
        throw error;
      });
    }
  }

  #finish(end: TunnelEnd): TunnelEnd {
    this.#end = end;
    this.#owner.hold(false);
    const error = errorOfEnd(end);
    for (const reader of this.#readers.splice(0)) {
      if (error) reader.reject(error);
      else reader.resolve({ done: true, value: undefined });
    }
    this.emit('close', end);
    return end;
  }
}
