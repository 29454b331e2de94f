import { settled } from '../../quic/tcp-world.js';
import { tunnelStreamConformance } from '../conformance/suite.js';
import { h1Capabilities } from './conformance-pair.js';
import { dialEngine, serveEngine } from './engine-pair.js';
import { engineWorlds } from './engine-worlds.js';

for (const { name, secure, make } of engineWorlds) {
  tunnelStreamConformance({
    name: `h1, ${name}`,
    // Without TLS there is an end and a reset, and nothing else.
    supports: { ...h1Capabilities, closeIsLoss: secure },
    async createPair(request) {
      const { world, clock } = make();
      const server = await serveEngine(world, clock, secure, request.accept);
      const client = await dialEngine(world, clock, secure, server, request.client);
      return {
        client,
        ...(name.startsWith('simulated') && { settle: world.settle }),
        async close() {
          await settled(world, client.close());
          server.close();
          await settled(world, world.close());
        },
      };
    },
  });
}
