import type { ByteEnd, StreamOutcome, TunnelStream, TunnelStreamHandler } from '../../http/tunnel-stream.js';
import type { ResetReason } from '../../protocol/reset-reason.js';
import type { ByteSplice } from '../../quic/byte-splice.js';
import type { TcpSocket } from '../../quic/tcp-socket.js';
import { sideEndOf } from '../side-end.js';
import type { ByteSide, ByteSideHandler } from './byte-side.js';
import type { ByteStreamBinding } from './byte-stream.js';

/** A class because there are thousands. */
class RawSide implements ByteSide {
  stream: TunnelStream | undefined;
  private started = false;
  private credit = 0;
  private blocked = false;
  /** The peer wants no more bytes. */
  private deaf = false;

  constructor(private readonly handler: ByteSideHandler) {}

  get buffered(): number {
    return this.stream?.buffered ?? 0;
  }

  byteEnd(): ByteEnd | undefined {
    return this.started ? undefined : this.stream?.byteEnd?.(undefined);
  }

  splice(far: TcpSocket | ByteEnd, begun: (splice: ByteSplice | undefined) => void): boolean {
    return !this.started && (this.stream?.spliceBytes?.(far, undefined, begun) ?? false);
  }

  grant(bytes: number): void {
    if (this.started) this.stream?.grant(bytes);
    else this.credit += bytes;
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.deaf || !this.stream) return true;
    const room = this.stream.write(bytes, start, end);
    if (!room) this.blocked = true;
    return room;
  }

  end(): void {
    this.stream?.end();
  }

  reset(reason: ResetReason): void {
    this.stream?.reset(reason);
  }

  start(): void {
    if (this.started) return;
    this.started = true;
    if (this.credit > 0) this.stream?.grant(this.credit);
  }

  // what the stream tells

  drained(): void {
    this.blocked = false;
    this.handler.drain();
  }

  // Its own bytes go on. What is still written to it is thrown away, as a socket does that is shut for reading.
  peerStopped(): void {
    this.deaf = true;
    if (this.blocked) this.drained();
  }

  closed(outcome: StreamOutcome): void {
    this.deaf = true;
    this.handler.closed(sideEndOf(outcome));
  }
}

/** Classic CONNECT: the stream's content is the bytes (RFC 9110 section 9.3.6). */
export function bindRawBytes(handler: ByteSideHandler): ByteStreamBinding {
  const side = new RawSide(handler);
  const streamHandler: TunnelStreamHandler = {
    data: (bytes, start, end) => handler.data(bytes, start, end),
    end: () => handler.end(),
    // RFC 9297 section 2: there are no datagrams here.
    datagram: () => side.reset('datagram-error'),
    drain: () => side.drained(),
    peerStopped: () => side.peerStopped(),
    closed: (outcome) => side.closed(outcome),
  };
  return {
    side,
    streamHandler,
    attach(stream) {
      side.stream = stream;
    },
    start: () => side.start(),
  };
}
