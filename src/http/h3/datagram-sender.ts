import { varintSize, writeVarint } from '../../protocol/varint.js';
import type { DatagramOutcome, QuicConnection } from '../../quic/connection.js';

/** Kept while the stream has no id yet. */
const MOST_WAITING_BYTES = 64 * 1024;
const MOST_WAITING = 64;

/** A stream id below 2^32 is assumed until it is known: the prefix then has at most four bytes. */
const ASSUMED_PREFIX = 4;

/**
 * Sends one stream's HTTP datagrams as QUIC DATAGRAM frames (RFC 9297 section 2.1).
 * A class because there are thousands.
 */
export class DatagramSender {
  private prefixLength = ASSUMED_PREFIX;
  /** The quarter stream id and the last head, in one array of exactly that length. */
  private prefix: Uint8Array | undefined;
  private waiting: Uint8Array[] | undefined;
  private waitingBytes = 0;

  /** `streamId` is -1 while it is not known. */
  constructor(
    private readonly quic: QuicConnection,
    streamId: number,
  ) {
    if (streamId >= 0) this.opened(streamId);
  }

  /** Largest payload now. */
  get maxSize(): number {
    return Math.max(0, this.quic.maxDatagramSize - this.prefixLength);
  }

  send(head: Uint8Array, body: Uint8Array, start: number, end: number): DatagramOutcome {
    if (!this.prefix) return this.wait(head, body, start, end);
    return this.quic.sendDatagram(this.prefixed(this.prefix, head), body, start, end);
  }

  /** The stream got its id: what waited goes out in order. */
  opened(streamId: number): void {
    if (this.prefix) return;
    this.prefixLength = varintSize(streamId / 4);
    const prefix = new Uint8Array(this.prefixLength);
    writeVarint(prefix, 0, streamId / 4);
    this.prefix = prefix;
    for (const payload of this.waiting ?? []) this.quic.sendDatagram(prefix, payload, 0, payload.length);
    this.stop();
  }

  /** Drops what waits. */
  stop(): void {
    this.waiting = undefined;
    this.waitingBytes = 0;
  }

  /** A stream's heads are of one length, so this copies a byte or two and allocates nothing. */
  private prefixed(known: Uint8Array, head: Uint8Array): Uint8Array {
    let whole = known;
    if (whole.length !== this.prefixLength + head.length) {
      whole = new Uint8Array(this.prefixLength + head.length);
      for (let at = 0; at < this.prefixLength; at++) whole[at] = known[at] ?? 0;
      this.prefix = whole;
    }
    for (let at = 0; at < head.length; at++) whole[this.prefixLength + at] = head[at] ?? 0;
    return whole;
  }

  private wait(head: Uint8Array, body: Uint8Array, start: number, end: number): DatagramOutcome {
    const length = head.length + end - start;
    if (length > this.maxSize) return 'too-large';
    const payload = new Uint8Array(length);
    payload.set(head, 0);
    payload.set(body.subarray(start, end), head.length);
    this.waiting ??= [];
    while (this.waiting.length >= MOST_WAITING || this.waitingBytes + length > MOST_WAITING_BYTES) {
      this.waitingBytes -= this.waiting.shift()?.length ?? 0;
    }
    this.waiting.push(payload);
    this.waitingBytes += length;
    return 'sent';
  }
}
