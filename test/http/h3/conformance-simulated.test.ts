import { createVirtualClock } from '../../../src/clock/virtual-clock.js';
import { createSimulatedNetwork } from '../../../src/quic/simulated/network.js';
import type { Implementation } from '../conformance/pair.js';
import { tunnelStreamConformance } from '../conformance/suite.js';
import { connectH3, h3Capabilities } from './conformance-pair.js';

const simulated: Implementation = {
  name: 'h3 on the simulated network',
  supports: h3Capabilities,
  async createPair(request) {
    const clock = createVirtualClock();
    const network = createSimulatedNetwork({ clock });
    let broken = false;
    const engines = {
      clock,
      server: network.engine('192.0.2.1'),
      client: network.engine('192.0.2.2'),
      local: { address: '192.0.2.1', port: 443 },
      certificates: [],
      trust: { mode: 'system' },
      idleTimeout: 30_000,
    } as const;
    const pair = await connectH3(engines, request, async (dialling) => {
      await clock.advanceAsync(200);
      return dialling;
    });
    return {
      ...pair,
      settle: () => clock.advanceAsync(broken ? 10_000 : 20),
      breakConnection() {
        broken = true;
        network.cut('192.0.2.2');
      },
      async close() {
        const closing = Promise.all([engines.client.close(), engines.server.close()]);
        await clock.advanceAsync(60_000);
        await closing;
      },
    };
  },
};

tunnelStreamConformance(simulated);
