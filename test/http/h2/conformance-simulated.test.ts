import { createVirtualClock } from '../../../src/clock/virtual-clock.js';
import { createSimulatedNetwork } from '../../../src/quic/simulated/network.js';
import { tunnelStreamConformance } from '../conformance/suite.js';
import { connectH2, h2Capabilities } from './conformance-pair.js';

tunnelStreamConformance({
  name: 'h2 on the simulated network',
  supports: h2Capabilities,
  async createPair(request) {
    const clock = createVirtualClock();
    const network = createSimulatedNetwork({ clock });
    let broken = false;
    const server = network.engine('192.0.2.1');
    const client = network.engine('192.0.2.2');
    const pair = await connectH2(
      { clock, server: server.tcp, client: client.tcp, local: { address: '192.0.2.1', port: 443 } },
      request,
      async (pending) => {
        await clock.advanceAsync(5_000);
        return pending;
      },
    );
    return {
      client: pair.client,
      settle: () => clock.advanceAsync(broken ? 30_000 : 20),
      breakConnection() {
        broken = true;
        network.cut('192.0.2.2');
      },
      async close() {
        await pair.close();
        const closing = Promise.all([client.close(), server.close()]);
        await clock.advanceAsync(60_000);
        await closing;
      },
    };
  },
});
