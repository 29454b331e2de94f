import type { Agent } from 'node:http';
import type { TcpSockets } from '../../quic/tcp-socket.js';
import type { UdpSockets } from '../../quic/udp-socket.js';
import type { ByteSide, ByteSideHandler } from '../../tunnel/tcp/byte-side.js';
import type { OpenUdpTunnel, UdpTunnelHandler } from '../../tunnel/udp/open-udp.js';
import type { OpenOptions, Target } from '../client.js';

/** What a local front-end stands on: tunnels through the proxy, and sockets of this machine to listen with. */
export interface FrontGround {
  /** It may wait for the connection to the proxy to come back, as long as its time limit lets it. */
  openRawTcp(target: Target, handler: ByteSideHandler, options?: OpenOptions): Promise<ByteSide>;
  openRawUdp(target: Target, handler: UdpTunnelHandler, options?: OpenOptions): Promise<OpenUdpTunnel>;
  /** Its connections are TCP tunnels. */
  readonly httpAgent: Agent;
  readonly tcp: () => TcpSockets;
  readonly sockets: () => UdpSockets;
}
