import type { StreamOutcome, TunnelStream } from '../http/tunnel-stream.js';
import type { ResetReason } from '../protocol/reset-reason.js';
import type { DatagramOutcome } from '../quic/connection.js';

/** Bytes of content, where a transport does not count for itself. */
export interface ContentCounters {
  sent: number;
  received: number;
}

/** The same stream, with what is written to it counted. A class, because there is one for each tunnel. */
class CountedStream implements TunnelStream {
  constructor(
    private readonly inner: TunnelStream,
    private readonly counters: ContentCounters,
  ) {}

  get version(): TunnelStream['version'] {
    return this.inner.version;
  }
  get id(): number {
    return this.inner.id;
  }
  get buffered(): number {
    return this.inner.buffered;
  }
  get maxDatagramSize(): number {
    return this.inner.maxDatagramSize;
  }
  get nativeDatagrams(): boolean {
    return this.inner.nativeDatagrams;
  }
  get closed(): Promise<StreamOutcome> {
    return this.inner.closed;
  }
  grant(bytes: number): void {
    this.inner.grant(bytes);
  }
  write(bytes: Uint8Array, start: number, end: number): boolean {
    this.counters.sent += end - start;
    return this.inner.write(bytes, start, end);
  }
  writeFramed(head: Uint8Array, headEnd: number, body: Uint8Array, start: number, end: number): boolean {
    const { inner } = this;
    this.counters.sent += headEnd + end - start;
    if (inner.writeFramed) return inner.writeFramed(head, headEnd, body, start, end);
    inner.write(head, 0, headEnd);
    return inner.write(body, start, end);
  }
  end(): void {
    this.inner.end();
  }
  sendDatagram(head: Uint8Array, body: Uint8Array, start: number, end: number): DatagramOutcome {
    return this.inner.sendDatagram(head, body, start, end);
  }
  reset(reason: ResetReason): void {
    this.inner.reset(reason);
  }
}

export function countedStream(inner: TunnelStream, counters: ContentCounters): TunnelStream {
  return new CountedStream(inner, counters);
}
