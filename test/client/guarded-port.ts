import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { freePort } from '../free-port.js';

export interface GuardedPort extends AsyncDisposable {
  readonly port: number;
  /** While true, datagrams to the port are swallowed. */
  udpBlocked: boolean;
  /** Datagrams that came. */
  readonly datagrams: number;
  /** TCP connections that came. */
  readonly accepted: number;
}

/** A port on 127.0.0.1 that leads on to another: TCP always, UDP unless it is blocked. */
export async function startGuardedPort(onward: number): Promise<GuardedPort> {
  const sockets = new Set<Socket>();
  const ways = new Map<number, UdpSocket>();
  let datagrams = 0;
  let accepted = 0;
  const server = createServer((near) => {
    accepted += 1;
    const far = connect(onward, '127.0.0.1');
    for (const end of [near, far]) {
      sockets.add(end);
      end.on('error', () => undefined);
      end.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  server.listen(await freePort('udp'), '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const udp = createSocket('udp4');
  udp.on('message', (message, from) => {
    datagrams += 1;
    if (guarded.udpBlocked) return;
    let way = ways.get(from.port);
    if (!way) {
      way = createSocket('udp4');
      ways.set(from.port, way);
      way.on('message', (answer) => udp.send(answer, from.port, from.address));
    }
    way.send(message, onward, '127.0.0.1');
  });
  udp.bind(port, '127.0.0.1');
  await once(udp, 'listening');
  const guarded: GuardedPort = {
    port,
    udpBlocked: true,
    get datagrams() {
      return datagrams;
    },
    get accepted() {
      return accepted;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      for (const way of ways.values()) way.close();
      udp.close();
      server.close();
      await once(server, 'close');
    },
  };
  return guarded;
}
