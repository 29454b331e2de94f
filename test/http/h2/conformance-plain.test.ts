import { systemClock } from '../../../src/clock/system-clock.js';
import { createNativeEngine } from '../../../src/quic/native/index.js';
import type { Implementation } from '../conformance/pair.js';
import { tunnelStreamConformance } from '../conformance/suite.js';
import { connectH2, h2Capabilities } from './conformance-pair.js';

const overTcp = (name: string, native: boolean): Implementation => ({
  name,
  supports: h2Capabilities,
  async createPair(request) {
    const engine = createNativeEngine();
    const local = { address: '127.0.0.1', port: 0 };
    const { tcp } = engine;
    const pair = await connectH2({ clock: systemClock, server: tcp, client: tcp, local, native }, request);
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

tunnelStreamConformance(overTcp("h2 over the engine's TCP, frames in TypeScript", false));
tunnelStreamConformance(overTcp("h2 over the engine's TCP, frames in the engine", true));
