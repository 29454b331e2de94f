import type { HttpVersion } from '../protocol/reset-reason.js';
import type { CongestionControl } from '../quic/congestion.js';
import type { QuicEngine } from '../quic/engine.js';
import type { DataPath } from '../tunnel/data-path.js';
import type { Hop } from '../upstream/hop.js';
import type { AttachableServer } from './attach-server.js';
import type { Authenticate } from './authenticate.js';
import type { Decide } from './decision.js';
import type { ProxyEvent } from './events.js';
import type { ProxyLimits } from './limits.js';
import type { TargetLists } from './target-rules.js';

/** PEM certificate chain (leaf first) and its key. */
export interface ProxyTls {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

export interface ProxyOptions {
  /**
   * `HOST:PORT`, TCP and UDP on the same port: `localhost:4433`, `:443` (both families), `[::1]:4433`. Or a
   * server of `node:https` or `node:http2` to take tunnels from; it stays the caller's, who starts and stops it.
   */
  readonly listen: string | readonly string[] | AttachableServer;
  /** Needed to listen; an attached server has its own. */
  readonly tls?: ProxyTls;
  /** Who is let in; there is no default. `createPasswordStore` gives one for names and passwords. */
  readonly authenticate: 'anyone' | Authenticate;
  /** Which targets may be reached besides public addresses, only, and never. */
  readonly targets?: TargetLists;
  /** Where each tunnel goes. Without it all go direct, or to the hop that `via` names. */
  readonly decide?: Decide;
  /** The next hop of all tunnels for which `decide` is not asked. */
  readonly via?: Hop;
  /** HTTP versions tried with next hops; default all: HTTP/3, HTTP/2 after a head start, then HTTP/1.1. */
  readonly viaVersions?: readonly HttpVersion[];
  /**
   * Path, or whole URI, of UDP tunnels with {target_host} and {target_port}; default
   * `/.well-known/masque/udp/{target_host}/{target_port}/`.
   */
  readonly template?: string;
  /** The same for connect-tcp; default `/.well-known/masque/tcp/{target_host}/{target_port}/`. */
  readonly tcpTemplate?: string;
  /** Addresses by which others know this machine: refused as targets, like those of its interfaces. */
  readonly publicAddress?: string | readonly string[];
  readonly limits?: Partial<ProxyLimits>;
  /** Name servers to ask, `ADDRESS` or `ADDRESS:PORT`; the system's by default. */
  readonly nameServers?: readonly string[];
  /** Milliseconds for which `drain` and `close` let tunnels run on; default 10,000. */
  readonly drainTimeout?: number;
  /** Append TLS secrets to this file (NSS key log format); not with an attached server. */
  readonly keyLogFile?: string;
  /**
   * 32 bytes or more, the same at each start: connections over HTTP/3 that were cut by the death of the process are
   * reset as soon as their clients are heard again, instead of when these have waited long enough. Keep it secret.
   */
  readonly secret?: Uint8Array;
  /** Called with each event, synchronously; `Proxy.events` is the other way. */
  readonly onEvent?: (event: ProxyEvent) => void;
  /** What moves the payloads of open tunnels; default `auto`. */
  readonly dataPath?: DataPath;
  /**
   * Threads that QUIC connections are spread over, 1 to 64; by default one for each core but one, at most 8. Where
   * the system cannot steer packets to several, one is used, and the event `listening` tells.
   */
  readonly shards?: number;
  /**
   * How the rate of HTTP/3 connections is found, those of clients and those to next hops; default `cubic`. `bbr` is
   * many times faster on paths that lose packets, and claims more than its part where it meets others.
   */
  readonly congestion?: CongestionControl;
  /** A running engine to use, which has its own `shards` and `congestion`; the proxy makes and closes its own otherwise. */
  readonly engine?: QuicEngine;
}
