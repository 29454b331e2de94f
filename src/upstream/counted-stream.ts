import type { ByteEnd, StreamOutcome, TunnelStream } from '../http/tunnel-stream.js';
import type { ResetReason } from '../protocol/reset-reason.js';
import type { ByteSplice, ByteSpliceStatistics } from '../quic/byte-splice.js';
import type { DatagramOutcome } from '../quic/connection.js';
import type { DatagramSplice, TakeRest } from '../quic/datagram-splice.js';
import type { TcpSocket } from '../quic/tcp-socket.js';
import type { UdpSocket } from '../quic/udp-socket.js';
import { Line } from '../tables/line.js';

/** What the engine moves of a stream, bytes. */
interface Moved {
  statistics(): Pick<ByteSpliceStatistics, 'bytesIn' | 'bytesOut'>;
}

/** Bytes of content of a connection, where a transport does not count for itself. */
export class ContentCounters {
  sent = 0;
  received = 0;
  private readonly splices = new Line<Moved>();

  /** Counts what the engine moves of a stream; `over` settles when that has ended. */
  join(splice: Moved, over: Promise<unknown>): void {
    const place = this.splices.join(splice);
    void over.then(() => {
      this.splices.leave(place);
      const { bytesIn, bytesOut } = splice.statistics();
      this.sent += bytesOut;
      this.received += bytesIn;
    });
  }

  total(): { readonly bytesSent: number; readonly bytesReceived: number } {
    let { sent, received } = this;
    for (const splice of this.splices) {
      const { bytesIn, bytesOut } = splice.statistics();
      sent += bytesOut;
      received += bytesIn;
    }
    return { bytesSent: sent, bytesReceived: received };
  }
}

/** The same stream, with what is sent of it counted. A class, because there is one for each tunnel. */
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
  spliceBytes(
    far: TcpSocket | ByteEnd,
    capsule: number | undefined,
    begun: (splice: ByteSplice | undefined) => void,
  ): boolean {
    const { counters, inner } = this;
    const told = (splice: ByteSplice | undefined): void => {
      if (splice) counters.join(splice, inner.closed);
      begun(splice);
    };
    return inner.spliceBytes?.(far, capsule, told) ?? false;
  }
  spliceCapsules(far: UdpSocket, rest: TakeRest): DatagramSplice | undefined {
    const { counters, inner } = this;
    const splice = inner.spliceCapsules?.(far, rest);
    if (splice) counters.join(splice, inner.closed);
    return splice;
  }
  reset(reason: ResetReason): void {
    this.inner.reset(reason);
  }
}

export function countedStream(inner: TunnelStream, counters: ContentCounters): TunnelStream {
  return new CountedStream(inner, counters);
}
