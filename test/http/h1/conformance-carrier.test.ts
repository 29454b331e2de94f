import assert from 'node:assert/strict';
import net from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { systemClock } from '../../../src/clock/system-clock.js';
import type { HttpServerConnection } from '../../../src/http/connection.js';
import { dialH1 } from '../../../src/http/h1/dial.js';
import { createH1Server } from '../../../src/http/h1/server-connection.js';
import { createWriteMemory } from '../../../src/http/tcp/slab-writer.js';
import { socketAddress } from '../../../src/http/tcp/socket-identity.js';
import { carryTls } from '../../../src/http/tls/tls-carrier.js';
import { tunnelStreamConformance } from '../conformance/suite.js';
import { certificate, clientTls } from '../tcp/peers.js';

const secureContext = createSecureContext({
  cert: Buffer.from(certificate.cert),
  key: Buffer.from(certificate.key),
});
const memory = createWriteMemory(4);
let ids = 0;

tunnelStreamConformance({
  name: 'h1, TLS of Node on both sides',
  supports: {
    nativeDatagrams: false,
    halfClose: true,
    multiplex: false,
    resetCodes: false,
    connectKind: true,
    earlyContent: false,
    ping: false,
    breakable: false,
    streamLimit: false,
  },
  async createPair(request) {
    const h1 = createH1Server({
      clock: systemClock,
      requestHeadTimeout: 20_000,
      altSvc: undefined,
      headSize: 32 * 1024,
      isTunnelToken: (token) => token.startsWith('connect-'),
    });
    const connections: HttpServerConnection[] = [];
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (raw) => {
      const socket = new TLSSocket(raw, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] });
      socket.on('error', () => undefined);
      socket.once('secure', () => {
        const carrier = carryTls(socket, raw, systemClock, memory);
        const identity = {
          id: ++ids,
          remoteAddress: carrier.remoteAddress,
          localAddress: carrier.localAddress,
          serverName: undefined,
          peerCertificates: [],
        };
        const { connection, socketHandler } = h1.serve(carrier, identity, request.accept);
        connections.push(connection);
        carrier.attach(socketHandler);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const bound = server.address();
    assert.ok(bound !== null && typeof bound !== 'string');
    const client = await dialH1(
      undefined,
      { remote: socketAddress(bound.address, bound.port), tls: clientTls, clock: systemClock },
      request.client,
      AbortSignal.timeout(60_000),
    );
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
