import type { QuicAccept, QuicConnection } from './connection.js';
import type { QuicConnectOptions } from './engine.js';
import type { TcpSockets } from './tcp-socket.js';
import type { UdpSockets } from './udp-socket.js';

/** What an engine opens; of several threads, what is opened on one of them. */
export interface EngineThread {
  /**
   * Rejects with `QuicConnectError`, or with `QuicConfigurationError` for options that cannot be used;
   * aborting leaves nothing behind.
   */
  connect(options: QuicConnectOptions, accept: QuicAccept, signal: AbortSignal): Promise<QuicConnection>;
  readonly udp: UdpSockets;
  readonly tcp: TcpSockets;
}
