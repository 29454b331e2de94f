import { after } from 'node:test';
import type { QuicEngine } from '../../src/quic/engine.js';
import type { UdpSocket } from '../../src/quic/udp-socket.js';

export interface Echo {
  readonly port: number;
  close(): void;
}

/** A UDP echo on loopback by the engine's sockets, quick enough for thousands of tunnels. */
export async function startEngineEcho(engine: QuicEngine): Promise<Echo> {
  let echo: UdpSocket | undefined;
  echo = await engine.udp.open(
    { local: { address: '127.0.0.1', port: 0 }, bufferSize: 4 << 20 },
    {
      packet: (bytes, start, end, from) => void echo?.send(bytes, start, end, from),
      problem: () => undefined,
    },
  );
  const socket = echo;
  after(() => socket.close());
  return { port: socket.localAddress.port, close: () => socket.close() };
}
