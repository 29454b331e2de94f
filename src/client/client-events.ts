import type { BautaError } from '../protocol/bauta-error.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import type { SocketAddress } from '../quic/address.js';
import type { VersionAttempt } from './version-attempts.js';

/** What happens to a client's connections, in order; in a chain with the index of the hop, nearest first. */
export type ClientEvent = ConnectionEvent & { readonly hop?: number };

type ConnectionEvent =
  /** A version is tried. */
  | { readonly type: 'attempt'; readonly version: HttpVersion }
  | { readonly type: 'attempt-failed'; readonly version: HttpVersion; readonly error: BautaError }
  /** A version was chosen, and not as it was before; the attempts tell why the others were not, `ERR_UDP_BLOCKED` among them. */
  | {
      readonly type: 'chosen';
      readonly version: HttpVersion;
      readonly attempts: readonly VersionAttempt[];
    }
  | { readonly type: 'connected'; readonly version: HttpVersion; readonly remoteAddress: SocketAddress }
  | { readonly type: 'disconnected'; readonly version: HttpVersion; readonly detail: string }
  /** How TCP tunnels are asked for from now on; `why` tells what the proxy had against connect-tcp. */
  | { readonly type: 'tcp'; readonly form: 'connect-tcp' | 'connect'; readonly why?: BautaError }
  /** No connection is left and the proxy was not reached; tried again after `wait` milliseconds. */
  | { readonly type: 'retry'; readonly error: BautaError; readonly wait: number }
  | { readonly type: 'closed' };

/** How a client stands with one hop at this moment. */
export interface HopInfo {
  readonly state: 'connected' | 'reconnecting' | 'closed';
  /** Of the connection opened last. */
  readonly version: HttpVersion;
  readonly remoteAddress: SocketAddress;
  /** HTTP datagrams travel as QUIC DATAGRAM frames there. */
  readonly nativeDatagrams: boolean;
  readonly connections: number;
  readonly tunnels: number;
  /** How TCP tunnels are asked for; undefined until the first has found it out. */
  readonly tcp: 'connect-tcp' | 'connect' | undefined;
  /** What became of each version when one was last chosen. */
  readonly attempts: readonly VersionAttempt[];
  /** True where UDP to the proxy was found blocked while TCP works. */
  readonly udpBlocked: boolean;
  /** Why the last attempt to connect again failed, while reconnecting. */
  readonly lastError: BautaError | undefined;
}

/** How a client stands at this moment; of a chain, with its last hop. */
export interface ClientInfo extends HopInfo {
  /** Every hop, nearest first; one where there is no chain. */
  readonly hops: readonly HopInfo[];
}

/** Why a client is over. */
export interface CloseReason {
  /** False where tunnels were still open when the connections were closed. */
  readonly drained: boolean;
}
