import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { VirtualPacketPath } from '../../../src/quic/engine.js';

/** A packet path of QUIC over a socket of Node, until it is told to lose everything. */
export interface LossyPath {
  readonly path: VirtualPacketPath;
  lose(): void;
  close(): void;
}

export async function createLossyPath(): Promise<LossyPath> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  let losing = false;
  let open = true;
  return {
    path: {
      maxPacketSize: 1452,
      localAddress: { address: '127.0.0.1', port: socket.address().port },
      transmit(bytes, start, end, to) {
        if (open && !losing) socket.send(Buffer.from(bytes.subarray(start, end)), to.port, to.address);
      },
      attach(deliver) {
        socket.on('message', (packet, from) => {
          if (!losing) deliver(packet, 0, packet.length, { address: from.address, port: from.port });
        });
      },
      closed: () => undefined,
    },
    lose() {
      losing = true;
    },
    close() {
      open = false;
      socket.close();
    },
  };
}
