import { createFrameSession } from '../../../src/http/h2/frames/frame-session.js';
import { http2SessionConformance } from '../../quic/http2-conformance.js';
import type { Http2Attach } from '../../quic/http2-world.js';
import { nativeWorld, simulatedWorld } from '../../quic/tcp-world.js';

const attach: Http2Attach = (socket, options, handler) => {
  const { session, carrierHandler } = createFrameSession(socket, options, handler);
  return { session, socketHandler: carrierHandler };
};

http2SessionConformance("in TypeScript, over the engine's TCP", () => nativeWorld(), attach);
http2SessionConformance('in TypeScript, over the simulated network', () => simulatedWorld(), attach);
