import { systemClock } from '../../../src/clock/system-clock.js';
import { createNativeEngine, selfSigned } from '../../../src/quic/native/index.js';
import type { Implementation, PairRequest } from '../conformance/pair.js';
import { tunnelStreamConformance } from '../conformance/suite.js';
import { connectH3, h3Capabilities } from './conformance-pair.js';
import { createLossyPath, type LossyPath } from './datagram-socket-path.js';

const certificate = selfSigned(['proxy.test'], 10);

async function createPair(request: PairRequest, lossy: LossyPath | undefined) {
  const engines = { server: createNativeEngine(), client: createNativeEngine() };
  const pair = await connectH3(
    {
      ...engines,
      clock: systemClock,
      local: { address: '127.0.0.1', port: 0 },
      certificates: [certificate],
      trust: { mode: 'insecure' },
      idleTimeout: 3_000,
      ...(lossy ? { path: lossy.path } : {}),
    },
    request,
    (dialling) => dialling,
  );
  return {
    ...pair,
    async close() {
      await Promise.all([engines.client.close(), engines.server.close()]);
      lossy?.close();
    },
  };
}

const native: Implementation = {
  name: 'h3 on the native engine',
  supports: { ...h3Capabilities, breakable: false },
  createPair: (request) => createPair(request, undefined),
};

const virtual: Implementation = {
  name: 'h3 on the native engine over a virtual path',
  supports: h3Capabilities,
  async createPair(request) {
    const lossy = await createLossyPath();
    return { ...(await createPair(request, lossy)), breakConnection: lossy.lose };
  },
};

tunnelStreamConformance(native);
tunnelStreamConformance(virtual);
