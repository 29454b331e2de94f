import type { Clock } from '../../../src/clock/clock.js';
import { systemClock } from '../../../src/clock/system-clock.js';
import { createVirtualClock } from '../../../src/clock/virtual-clock.js';
import { createSimulatedNetwork } from '../../../src/quic/simulated/network.js';
import { nativeWorld, type TcpWorld } from '../../quic/tcp-world.js';

/** Where HTTP/1.1 on an engine is tested. */
export interface EngineWorld {
  readonly name: string;
  readonly secure: boolean;
  make(): { readonly world: TcpWorld; readonly clock: Clock };
}

function simulated(): { readonly world: TcpWorld; readonly clock: Clock } {
  const clock = createVirtualClock();
  const network = createSimulatedNetwork({ clock });
  const [client, server] = [network.engine('192.0.2.1'), network.engine('192.0.2.2')];
  const world: TcpWorld = {
    client: client.tcp,
    server: server.tcp,
    address: '192.0.2.2',
    settle: () => clock.advanceAsync(5),
    async close() {
      await Promise.all([client.close(), server.close()]);
      await clock.advanceAsync(1000);
    },
  };
  return { world, clock };
}

const native = (): { readonly world: TcpWorld; readonly clock: Clock } => ({
  world: nativeWorld(),
  clock: systemClock,
});

export const engineWorlds: readonly EngineWorld[] = [
  { name: 'simulated TCP', secure: false, make: simulated },
  { name: 'simulated TLS', secure: true, make: simulated },
  { name: 'native TCP', secure: false, make: native },
  { name: 'native TLS', secure: true, make: native },
];
