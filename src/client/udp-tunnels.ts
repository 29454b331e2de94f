import { type OpenUdpTunnel, openUdpTunnel, type UdpTunnelHandler } from '../tunnel/udp/open-udp.js';
import type { OpenOptions, Target } from './client.js';
import type { OpenTunnels } from './open-tunnels.js';
import type { ProxyAccess } from './proxy-access.js';
import { readTarget, targetAddress } from './target-address.js';
import type { AnsweredTunnel, OpenWithin } from './tunnel-asker.js';
import { ClientUdpTunnel, UNREAD } from './udp-tunnel.js';
import { createUnreadDatagrams } from './unread-datagrams.js';

export interface UdpTunnels {
  openUdp(target: Target, options?: OpenOptions): Promise<ClientUdpTunnel>;
  /** As `openUdp`, without copies: payloads go to the handler as they are. */
  openRawUdp(target: Target, handler: UdpTunnelHandler, options?: OpenOptions): Promise<OpenUdpTunnel>;
}

export interface UdpTunnelsOptions {
  readonly access: ProxyAccess;
  readonly within: OpenWithin;
  readonly tunnels: OpenTunnels;
}

/** The UDP tunnels of a client (RFC 9298). */
export function createUdpTunnels({ access, within, tunnels }: UdpTunnelsOptions): UdpTunnels {
  const ask = async (
    target: Target,
    handler: UdpTunnelHandler,
    options: OpenOptions,
  ): Promise<AnsweredTunnel<OpenUdpTunnel>> => {
    const path = access.udpPath(readTarget(target));
    const { authority } = access;
    return within(options, (question) =>
      question(
        { extendedConnect: true, datagrams: false },
        ({ connection, fields, clock, timeout, signal }) =>
          openUdpTunnel(connection, { authority, path, fields, clock, timeout }, handler, signal),
      ),
    );
  };

  return {
    async openRawUdp(target, handler, options = {}) {
      const { tunnel } = await ask(target, handler, options);
      tunnels.addRaw(tunnel, tunnel.closed);
      return tunnel;
    },
    async openUdp(target, options = {}) {
      const early = createUnreadDatagrams(UNREAD);
      let tunnel: ClientUdpTunnel | undefined;
      const answered = await ask(
        target,
        {
          payload(bytes, start, end) {
            if (tunnel) tunnel.deliver(bytes, start, end);
            else early.push(Buffer.from(bytes.slice(start, end)));
          },
        },
        options,
      );
      const raw = answered.tunnel;
      const place = tunnels.addPublic(raw);
      tunnel = new ClientUdpTunnel(raw, targetAddress(readTarget(target), answered.head), place);
      void tunnel.closed.then(() => place.remove());
      for (let first = early.shift(); first; first = early.shift()) tunnel.deliver(first, 0, first.length);
      return tunnel;
    },
  };
}
