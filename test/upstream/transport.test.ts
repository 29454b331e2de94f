import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { createFakeTransport } from './fake-transport.js';
import { openHop, until } from './real-hop.js';
import { type TransportImplementation, transportConformance } from './transport-suite.js';

function fake(version: HttpVersion): TransportImplementation {
  return {
    name: `the fake as ${version}`,
    nativeDatagrams: version === 'h3',
    async createPair({ maxStreams }) {
      const made = createFakeTransport(1, { version, ...(maxStreams ? { allowed: maxStreams } : {}) });
      return { connection: made.connection, peer: made.peer, close: () => made.connection.close() };
    },
  };
}

function real(version: 'h3' | 'h2'): TransportImplementation {
  return {
    name: version === 'h3' ? 'HTTP/3 on the engine' : 'HTTP/2',
    nativeDatagrams: version === 'h3',
    async createPair({ maxStreams }) {
      const hop = await openHop({ versions: [version], ...(maxStreams ? { maxStreams } : {}) });
      const connection = await hop.driver.dial(hop.target(version), AbortSignal.timeout(60_000));
      await until(() => hop.connections.length === 1, 'the hop sees the connection');
      const [peer] = hop.connections;
      if (!peer) throw new Error('no connection at the hop');
      return {
        connection,
        peer,
        async close() {
          await connection.close();
          await hop.close();
        },
      };
    },
  };
}

transportConformance(fake('h3'));
transportConformance(fake('h2'));
transportConformance(real('h3'));
transportConformance(real('h2'));
