import type http from 'node:http';
import type https from 'node:https';
import type { ClientEvent, ClientInfo, CloseReason } from './client-events.js';
import type { TcpTunnel } from './tcp-tunnel.js';
import type { UdpTunnel } from './udp-tunnel.js';
import type { ConnectorOptions, UndiciConnector } from './undici-connector.js';

/** `HOST:PORT` (`[IPV6]:PORT`), or both apart. A name is resolved by the proxy. */
export type Target = string | { readonly host: string; readonly port: number };

export interface OpenOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds until the tunnel must be open; default 15,000. */
  readonly timeout?: number;
}

export interface OpenTcpOptions extends OpenOptions {
  /**
   * As of `net.connect`: false, the default, ends this side when the target ends its own; with true the program
   * may write on. This side can always end first and read on.
   */
  readonly allowHalfOpen?: boolean;
}

/** A proxy in use: connections that are opened, shared, and opened again when lost. */
export interface Client extends AsyncDisposable {
  /**
   * Opens a TCP tunnel to the target (connect-tcp, or classic CONNECT; `ConnectOptions.tcp`). Rejects as
   * `openUdp`; `ERR_TARGET_CLOSED` and others where the target does not take the connection.
   */
  openTcp(target: Target, options?: OpenTcpOptions): Promise<TcpTunnel>;
  /**
   * Opens a UDP tunnel to the target (RFC 9298). Rejects with `BautaError`: `ERR_TARGET_SYNTAX`,
   * `ERR_CREDENTIALS`, `ERR_TARGET_REFUSED` and others of the error table.
   */
  openUdp(target: Target, options?: OpenOptions): Promise<UdpTunnel>;
  /** For `http.request({ agent })`: connections are TCP tunnels, kept for the next request, closed with the client. */
  readonly httpAgent: http.Agent;
  /** For `https.request({ agent })`; the target's TLS is inside the tunnel. */
  readonly httpsAgent: https.Agent;
  /** For undici: `new Agent({ connect: client.connector() })`. The options are for the target's TLS. */
  connector(options?: ConnectorOptions): UndiciConnector;
  /** Events from now on; each reader keeps at most 256 unread. Ends when the client is closed. */
  events(): AsyncIterable<ClientEvent>;
  info(): ClientInfo;
  /** Resolves when the client is over; never rejects. */
  readonly closed: Promise<CloseReason>;
  /**
   * Opens nothing more, gives open tunnels up to `drain` milliseconds (default 0) to end by themselves, ends
   * the rest and closes the connections. Idempotent.
   */
  close(options?: { readonly drain?: number }): Promise<void>;
}
