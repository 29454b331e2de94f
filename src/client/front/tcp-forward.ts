import type { Clock } from '../../clock/clock.js';
import { parseTarget } from '../../protocol/target.js';
import type { SocketAddress } from '../../quic/address.js';
import { carryTcp } from './carry-tcp.js';
import type { FrontEvent } from './front-events.js';
import type { FrontGround } from './front-ground.js';
import { defaultFrontLimits, type FrontLimits } from './front-limits.js';
import { type FrontEnd, listenForApps } from './listen-for-apps.js';

export interface TcpForwardOptions {
  readonly local: SocketAddress;
  /** `HOST:PORT`. */
  readonly target: string;
  readonly ground: Pick<FrontGround, 'openRawTcp' | 'tcp'>;
  readonly clock: Clock;
  readonly event: (event: FrontEvent) => void;
  readonly limits?: Partial<FrontLimits>;
}

/**
 * Opens a local port each connection of which is a tunnel to one target through the proxy. Where there is no
 * tunnel the connection is reset. Rejects with `ERR_TARGET_SYNTAX`, `ERR_PORT_IN_USE`, `ERR_PORT_PRIVILEGE` or
 * `ERR_ADDRESS_UNAVAILABLE`.
 */
export async function openTcpForward(options: TcpForwardOptions): Promise<FrontEnd> {
  const { ground, clock, event } = options;
  const { host, port } = parseTarget(options.target);
  const limits = { ...defaultFrontLimits, ...options.limits };
  return listenForApps({
    tcp: ground.tcp(),
    local: options.local,
    clock,
    limits,
    event,
    serve(app) {
      void carryTcp(app, { host, port }, { ground, clock, limits, event }, () => ({})).catch(() => {
        app.socket.reset();
      });
    },
  });
}
