import type { HttpVersion } from '../protocol/reset-reason.js';
import type { SocketAddress } from '../quic/address.js';
import type { Hop } from '../upstream/hop.js';
import type { User } from './credentials.js';

/** What a client asks for, once it is known who it is. */
export interface TunnelRequest {
  /** `tcp`: a CONNECT, a connect-tcp tunnel, or a plain `http://` request for a target. */
  readonly kind: 'udp' | 'tcp';
  readonly target: { readonly host: string; readonly port: number };
  readonly user: User;
  readonly client: SocketAddress;
  readonly version: HttpVersion;
  /** The connection's number in this process. */
  readonly connection: number;
}

export type Decision =
  /** Connect from here, if the target rules allow the address. */
  | { readonly action: 'direct' }
  /**
   * Ask this proxy for the tunnel, if the target rules allow the target: they judge a literal address and a name
   * as such, while a name's addresses are the business of the last hop, and the hop itself is no target.
   */
  | { readonly action: 'via'; readonly hop: Hop }
  /** `error` is a Proxy-Status error type (RFC 9209 section 2.3). */
  | { readonly action: 'refuse'; readonly status: 403 | 429 | 503; readonly error: string };

/** Has its say on each tunnel before the target rules have theirs; cannot lift a refusal of theirs. */
export type Decide = (request: TunnelRequest, signal: AbortSignal) => Decision | Promise<Decision>;
