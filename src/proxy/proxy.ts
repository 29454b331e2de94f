import type { Hop } from '../upstream/hop.js';
import type { Authenticate } from './authenticate.js';
import type { ListeningAddress, ProxyEvent, TunnelCounters, TunnelDescription } from './events.js';
import type { ProxyTls } from './options.js';
import type { TargetLists } from './target-rules.js';

/** What a proxy is doing at this moment. */
export interface ProxyInfo {
  readonly state: 'running' | 'draining' | 'closed';
  readonly connections: number;
  readonly tunnels: { readonly open: number; readonly opening: number; readonly opened: number };
  /** Plain `http://` requests: under way, and ever. */
  readonly requests: { readonly forwarding: number; readonly forwarded: number };
  /** Names that are being looked up. */
  readonly lookups: number;
}

export type OpenTunnel = TunnelDescription & TunnelCounters;

/** A running proxy. */
export interface RunningProxy extends AsyncDisposable {
  /** Where it listens, with the ports that were chosen. */
  readonly addresses: readonly ListeningAddress[];
  /** For handshakes from now on; running tunnels stay. Throws `BautaError` ERR_CERTIFICATE_FILE. */
  setCertificates(...tls: readonly [ProxyTls, ...ProxyTls[]]): void;
  /** For requests from now on; running tunnels stay. Throws `BautaError` ERR_USAGE and changes nothing then. */
  setTargets(targets: TargetLists): void;
  /** Who is let in from now on; running tunnels stay, remembered credentials are forgotten. */
  setAuthenticate(authenticate: Authenticate): void;
  /**
   * The next hop of tunnels from now on; running ones stay with theirs. Throws `BautaError` ERR_LINK for a hop that
   * cannot be meant, ERR_USAGE on a proxy that was made without `via`; nothing changes then.
   */
  setVia(hop: Hop): void;
  info(): ProxyInfo;
  /** The tunnels that are open, with their counters. */
  tunnels(): OpenTunnel[];
  /** Events from now on, for one reader; a slow one is told how many it missed. Ends with the proxy. */
  events(): AsyncIterable<ProxyEvent>;
  /**
   * Stops in order: no new connections, GOAWAY, new requests answered with 503; tunnels that still run after
   * `timeout` milliseconds (default: the option `drainTimeout`) are ended. Then it is closed.
   */
  drain(timeout?: number): Promise<void>;
  /** Ends everything now. Idempotent. */
  close(): Promise<void>;
  /** Resolves when nothing is left; never rejects. */
  readonly closed: Promise<void>;
}

export type { RunningProxy as Proxy };
