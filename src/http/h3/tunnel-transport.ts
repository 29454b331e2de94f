import type { QuicTransportOptions } from '../../quic/engine.js';

/**
 * QUIC transport settings for connections that carry tunnels: each stream may have `streamReceiveWindow` of
 * unread bytes here, and the connection has room for some 340 such streams, so that tunnels which nobody reads
 * do not hold up the others. Give them to `QuicEngine.listen`; `dialH3` uses them by itself.
 */
export const tunnelTransport = {
  streamReceiveWindow: 768 * 1024,
  receiveWindow: 256 * 1024 * 1024,
} as const satisfies QuicTransportOptions;
