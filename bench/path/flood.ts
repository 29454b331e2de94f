import type { Socket } from 'node:dgram';

/** Datagrams of `size` bytes, `rate` a second. */
export interface Flood {
  readonly size: number;
  readonly rate: number;
  readonly seconds: number;
}

/** One-way delays of the datagrams of a flood that arrived, in milliseconds. */
export interface Delays {
  readonly arrived: number;
  /** The largest number that was seen, plus one. */
  readonly sent: number;
  readonly min: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const milliseconds = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Sends at an even rate: what is due every 2 ms. */
export function sendFlood(send: (datagram: Buffer) => void, flood: Flood, done?: () => void): void {
  const begin = milliseconds();
  const total = Math.round(flood.rate * flood.seconds);
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.min(total, Math.floor(((milliseconds() - begin) / 1e3) * flood.rate));
    for (; sent < due; sent++) {
      const datagram = Buffer.alloc(flood.size);
      datagram.writeDoubleBE(milliseconds(), 0);
      datagram.writeUInt32BE(sent, 8);
      send(datagram);
    }
    if (sent < total) return;
    clearInterval(timer);
    done?.();
  }, 2);
}

/** Tells of a flood when none of its datagrams came for 3 s, which is more than a tunnel may pause. */
export function collectDelays(socket: Socket, tell: (delays: Delays) => void): void {
  let delays: number[] = [];
  let sent = 0;
  let timer: NodeJS.Timeout | undefined;
  const finish = (): void => {
    delays.sort((a, b) => a - b);
    const at = (share: number): number => delays[Math.floor(share * (delays.length - 1))] ?? Number.NaN;
    tell({ arrived: delays.length, sent, min: at(0), p50: at(0.5), p99: at(0.99), max: at(1) });
    delays = [];
    sent = 0;
  };
  socket.on('message', (message) => {
    if (message.length < 12) return;
    delays.push(milliseconds() - message.readDoubleBE(0));
    sent = Math.max(sent, message.readUInt32BE(8) + 1);
    clearTimeout(timer);
    timer = setTimeout(finish, 3_000);
  });
}
