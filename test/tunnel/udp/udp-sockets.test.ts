import { after } from 'node:test';
import { createNativeEngine } from '../../../src/quic/native/index.js';
import { dgramSockets } from './dgram-sockets.js';
import { udpSocketsConformance } from './udp-sockets-conformance.js';

udpSocketsConformance('node:dgram', () => dgramSockets);

const engine = createNativeEngine();
after(() => engine.close());
udpSocketsConformance('the engine', () => engine.udp);
