import type { Http2Options, Http2Session, Http2SessionHandler } from '../../quic/http2-session.js';
import type { TcpSocket } from '../../quic/tcp-socket.js';
import type { SharedRoom } from '../../quic/write-gauge.js';
import type { ByteCarrier, ByteCarrierHandler } from './frames/byte-carrier.js';
import { createFrameSession } from './frames/frame-session.js';

/** What an HTTP/2 connection runs on. */
export interface SessionCarrier extends ByteCarrier, Pick<TcpSocket, 'http2'> {
  /** What the server says first was sent with the handshake. */
  readonly greeted?: boolean;
}

/** Once the engine has a socket as a session, nothing more of it is told here. */
const untold: ByteCarrierHandler = {
  data: () => undefined,
  end: () => undefined,
  drain: () => undefined,
  closed: () => undefined,
};

/**
 * Makes a session on a carrier from which nothing was read yet: the engine's own where it has them. All that the
 * carrier tells goes to `carrierHandler`.
 */
export function openSession(
  carrier: SessionCarrier,
  options: Http2Options,
  handler: Http2SessionHandler,
  room: SharedRoom,
): { readonly session: Http2Session; readonly carrierHandler: ByteCarrierHandler } {
  const { greeted = false } = carrier;
  const all = { ...options, greeted };
  if (!carrier.http2) return createFrameSession(carrier, all, handler, room);
  return { session: carrier.http2(all, handler), carrierHandler: untold };
}
