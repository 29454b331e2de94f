import type { Clock } from '../../clock/clock.js';
import { parseTarget } from '../../protocol/target.js';
import type { SocketAddress } from '../../quic/address.js';
import type { DataPath } from '../../tunnel/data-path.js';
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
  /** What moves the bytes; default `auto`, the engine where it can. */
  readonly dataPath?: DataPath;
}

/**
 * Opens a local port each connection of which is a tunnel to one target through the proxy. Where there is no
 * tunnel the connection is reset. Rejects with `ERR_TARGET_SYNTAX`, `ERR_PORT_IN_USE`, `ERR_PORT_PRIVILEGE` or
 * `ERR_ADDRESS_UNAVAILABLE`.
 */
export async function openTcpForward(options: TcpForwardOptions): Promise<FrontEnd> {
  const { ground, clock, dataPath, event } = options;
  const { host, port } = parseTarget(options.target);
  const limits = { ...defaultFrontLimits, ...options.limits };
  return listenForApps({
    tcp: ground.tcp(),
    local: options.local,
    clock,
    limits,
    event,
    serve(app) {
      const context = { ground, clock, limits, dataPath, event };
      void carryTcp(app, { host, port }, context, () => ({})).catch(() => app.socket.reset());
    },
  });
}
