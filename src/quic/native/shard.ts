import type { QuicAccept } from '../connection.js';
import type { QuicEngine, QuicListener, QuicListenOptions } from '../engine.js';
import type { SecureAccept, SecureListener, SecureListenOptions } from '../secure-socket.js';
import type { NativeListenerGroup, NativeTcpListenerGroup } from './binding.js';

/** The place of one engine's endpoint among those of a listener. */
export interface GroupPlace {
  readonly group: NativeListenerGroup;
  readonly index: number;
  /** Nothing of the endpoint is left in its engine. */
  gone(): void;
}

/** The place of one engine's socket among those of a TCP listener. */
export interface TcpGroupPlace {
  readonly group: NativeTcpListenerGroup;
  readonly index: number;
}

/** One of the engines that are one to their user: a thread with its own sockets and connections. */
export interface EngineShard extends QuicEngine {
  /** Endpoints and sockets that are open here. */
  readonly load: number;
  readonly failed: Promise<string>;
  holdProcess(hold: boolean): void;
  listenAs(options: QuicListenOptions, accept: QuicAccept, place: GroupPlace): Promise<QuicListener>;
  listenSecureAs(
    options: SecureListenOptions,
    accept: SecureAccept,
    place: TcpGroupPlace,
  ): Promise<SecureListener>;
  /** All that is open here is over, as if this engine had failed. */
  abandon(reason: string): void;
}
