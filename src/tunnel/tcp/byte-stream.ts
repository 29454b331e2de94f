import type { TunnelStream, TunnelStreamHandler } from '../../http/tunnel-stream.js';
import type { ByteSide, ByteSideHandler } from './byte-side.js';
import { bindCapsuleBytes } from './capsule-bytes.js';
import { bindRawBytes } from './raw-bytes.js';
import type { TcpForm } from './tcp-form.js';

/** A tunnel stream as one side of a TCP tunnel, and the handler by which it takes the stream's events. */
export interface ByteStreamBinding {
  readonly side: ByteSide;
  /** Give this to the tunnel stream. */
  readonly streamHandler: TunnelStreamHandler;
  /** Tells which tunnel stream it is; call before any event of it. */
  attach(stream: TunnelStream): void;
  /** From here on content is read (client: a 2xx came; server: it was sent). Credit is kept until then. */
  start(): void;
}

/** The bytes of a stream of either form. */
export function bindByteStream(form: TcpForm, handler: ByteSideHandler): ByteStreamBinding {
  return form.kind === 'connect' ? bindRawBytes(handler) : bindCapsuleBytes(form.revision, handler);
}
