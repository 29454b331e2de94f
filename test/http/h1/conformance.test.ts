import { after } from 'node:test';
import { systemClock } from '../../../src/clock/system-clock.js';
import type { HttpServerConnection } from '../../../src/http/connection.js';
import { listenTcp } from '../../../src/http/tcp/listener.js';
import { createNativeEngine } from '../../../src/quic/native/index.js';
import { tunnelStreamConformance } from '../conformance/suite.js';
import { certificate } from '../tcp/peers.js';
import { watchAccepted } from '../tcp/raw-sockets.js';
import { dialWithNode, h1Capabilities } from './conformance-pair.js';

const engine = createNativeEngine();
after(() => engine.close());
let ids = 0;

tunnelStreamConformance({
  name: 'h1',
  supports: h1Capabilities,
  async createPair(request) {
    const accepted = watchAccepted(engine);
    let server: HttpServerConnection | undefined;
    const listener = await listenTcp(
      {
        engine: accepted,
        local: { address: '127.0.0.1', port: 0 },
        tls: { certificates: [certificate], alpn: ['h2', 'http/1.1'] },
        clock: systemClock,
        nextConnectionId: () => ++ids,
        ...(request.maxStreams === undefined ? {} : { h2: { maxStreams: request.maxStreams } }),
      },
      (connection) => {
        server = connection;
        return request.accept(connection);
      },
    );
    const client = await dialWithNode(listener.localAddress, request.client);
    return {
      client,
      breakConnection: () => server && accepted.find(server.remoteAddress)?.reset(),
      async close() {
        await client.close();
        await listener.close();
      },
    };
  },
});
