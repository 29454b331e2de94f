import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { seeded } from '../faults/seeded.js';

/** A forwarder of UDP on 127.0.0.1 whose packets take 10 ms each way, and one in fifty does not arrive. */
export interface LossyPath extends AsyncDisposable {
  readonly port: number;
  /** The most bytes that were on their way at once, since a number of packets had passed. */
  readonly most: { readonly up: number; readonly down: number };
}

const DELAY = 10;
const SETTLED = 300;

interface Direction {
  packets: number;
  onTheWay: number;
  most: number;
}

async function bound(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

/** A path to the UDP port, for one client. */
export async function startLossyPath(port: number): Promise<LossyPath> {
  const [inner, outer] = [await bound(), await bound()];
  const [up, down] = [
    { packets: 0, onTheWay: 0, most: 0 },
    { packets: 0, onTheWay: 0, most: 0 },
  ];
  const random = seeded(11);
  let client = 0;
  let open = true;
  const carry = (direction: Direction, packet: Buffer, send: () => void): void => {
    direction.packets++;
    direction.onTheWay += packet.length;
    if (direction.packets > SETTLED) direction.most = Math.max(direction.most, direction.onTheWay);
    const lost = random.below(50) === 0;
    setTimeout(() => {
      direction.onTheWay -= packet.length;
      if (open && !lost) send();
    }, DELAY);
  };
  inner.on('message', (packet, from) => {
    client = from.port;
    carry(up, packet, () => outer.send(packet, port, '127.0.0.1'));
  });
  outer.on('message', (packet) => carry(down, packet, () => inner.send(packet, client, '127.0.0.1')));
  return {
    port: inner.address().port,
    get most() {
      return { up: up.most, down: down.most };
    },
    async [Symbol.asyncDispose]() {
      open = false;
      inner.close();
      outer.close();
    },
  };
}
