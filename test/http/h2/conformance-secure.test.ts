import { systemClock } from '../../../src/clock/system-clock.js';
import { createNativeEngine } from '../../../src/quic/native/index.js';
import { secured } from '../../quic/secure-world.js';
import { tunnelStreamConformance } from '../conformance/suite.js';
import { connectH2, h2Capabilities } from './conformance-pair.js';

tunnelStreamConformance({
  name: "h2 over the engine's TLS",
  supports: h2Capabilities,
  async createPair(request) {
    const engine = createNativeEngine();
    const tcp = secured(engine.tcp);
    const pair = await connectH2(
      { clock: systemClock, server: tcp, client: tcp, local: { address: '127.0.0.1', port: 0 } },
      request,
    );
    return {
      client: pair.client,
      breakConnection: () => pair.cut(),
      async close() {
        await pair.close();
        await engine.close();
      },
    };
  },
});
