import assert from 'node:assert/strict';
import net from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { systemClock } from '../../../src/clock/system-clock.js';
import type { HttpServerConnection } from '../../../src/http/connection.js';
import { createWriteMemory } from '../../../src/http/tcp/slab-writer.js';
import { socketAddress } from '../../../src/http/tcp/socket-identity.js';
import { carryTls } from '../../../src/http/tls/tls-carrier.js';
import { tunnelStreamConformance } from '../conformance/suite.js';
import { certificate } from '../tcp/peers.js';
import { dialWithNode, h1Capabilities, serveH1 } from './conformance-pair.js';

const secureContext = createSecureContext({
  cert: Buffer.from(certificate.cert),
  key: Buffer.from(certificate.key),
});
const memory = createWriteMemory(4);

tunnelStreamConformance({
  name: 'h1, TLS of Node on both sides',
  supports: h1Capabilities,
  async createPair(request) {
    const serve = serveH1(systemClock);
    const connections: HttpServerConnection[] = [];
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (raw) => {
      const socket = new TLSSocket(raw, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] });
      socket.on('error', () => undefined);
      socket.once('secure', () => {
        const carrier = carryTls(socket, raw, systemClock, memory);
        const { connection, socketHandler } = serve(carrier, request.accept);
        connections.push(connection);
        carrier.attach(socketHandler);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const bound = server.address();
    assert.ok(bound !== null && typeof bound !== 'string');
    const client = await dialWithNode(socketAddress(bound.address, bound.port), request.client);
    return {
      client,
      async close() {
        await client.close();
        for (const connection of connections) connection.close('shutdown');
        await new Promise((resolve) => server.close(resolve));
      },
    };
  },
});
