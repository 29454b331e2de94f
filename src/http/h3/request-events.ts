import type { QuicStreamHandler } from '../../quic/stream.js';
import type { RequestStream } from './request-stream.js';

/** Brings the events of a QUIC stream to its request stream, whose own `end` and `reset` are the holder's. */
export class QuicEvents implements QuicStreamHandler {
  constructor(private readonly request: RequestStream) {}

  opened(id: number): void {
    this.request.quicOpened(id);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.request.quicData(bytes, start, end);
  }

  end(): void {
    this.request.quicEnd();
  }

  reset(code: number): void {
    this.request.quicReset(code);
  }

  stopped(code: number): void {
    this.request.quicStopped(code);
  }

  drain(): void {
    this.request.quicDrain();
  }

  /** The connection's own end follows, and tells every stream why. */
  lost(): void {}
}
