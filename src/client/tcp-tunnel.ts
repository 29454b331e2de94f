import type { ResponseHead } from '../http/request.js';
import type { Target as ParsedTarget } from '../protocol/target.js';
import type { ByteDuplex } from '../tunnel/tcp/byte-duplex.js';
import { targetAddress } from './target-address.js';
import type { TunnelEnd } from './tunnel-end.js';

/**
 * A TCP connection to a target through the proxy: a `Duplex` with half close (`OpenTcpOptions`), and with what
 * programs expect of a `net.Socket`. A reset or a loss destroys it with a `BautaError` (`ERR_TUNNEL_RESET`,
 * `ERR_CONNECTION_LOST`). `destroy`, `resetAndDestroy` and disposing reset the connection to the target unless
 * both directions had ended; `end` is the way to end in order.
 */
export interface TcpTunnel extends ByteDuplex {
  /** Resolves when the tunnel is over, with how; never rejects. (`closed` of a stream is a boolean.) */
  readonly outcome: Promise<TunnelEnd>;
  /** The target's address where the proxy tells it, else the host as it was asked for. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** `IPv4` or `IPv6`; undefined where the host is a name. */
  readonly remoteFamily: string | undefined;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The duplex of an open tunnel with what the client knows of it. */
export function tcpTunnelOf(
  duplex: ByteDuplex,
  target: ParsedTarget,
  answer: ResponseHead,
  outcome: Promise<TunnelEnd>,
): TcpTunnel {
  const { address, port, family } = targetAddress(target, answer);
  return Object.assign(duplex, {
    outcome,
    remoteAddress: address,
    remotePort: port,
    remoteFamily: family === '' ? undefined : family,
    async [Symbol.asyncDispose](): Promise<void> {
      duplex.destroy();
      await outcome;
    },
  });
}
