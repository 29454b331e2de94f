import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { seeded } from '../faults/seeded.js';

/** A forwarder of UDP on 127.0.0.1 whose packets take 10 ms each way, and one in fifty does not arrive. */
export interface LossyPath extends AsyncDisposable {
  readonly port: number;
  /** Bytes on their way when a large packet came, the mean of all but the first of these. */
  readonly underWay: { readonly up: number; readonly down: number };
}

const DELAY = 10;
/** Acknowledgements are smaller. */
const LARGE = 1_000;
/** With so many it begins in the same way, whatever the congestion control. */
const BEGINNING = 200;

interface Direction {
  onTheWay: number;
  large: number;
  sum: number;
}

const mean = ({ large, sum }: Direction): number => Math.round(sum / Math.max(1, large - BEGINNING));

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
    { onTheWay: 0, large: 0, sum: 0 },
    { onTheWay: 0, large: 0, sum: 0 },
  ];
  const random = seeded(11);
  let client = 0;
  let open = true;
  const carry = (direction: Direction, packet: Buffer, send: () => void): void => {
    direction.onTheWay += packet.length;
    if (packet.length > LARGE && ++direction.large > BEGINNING) direction.sum += direction.onTheWay;
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
    get underWay() {
      return { up: mean(up), down: mean(down) };
    },
    async [Symbol.asyncDispose]() {
      open = false;
      inner.close();
      outer.close();
    },
  };
}
