import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { after } from 'node:test';

/** What the target has seen of one connection. */
export interface TargetSide {
  readonly socket: Socket;
  readonly received: Buffer[];
  text(): string;
  /** The other side's FIN came. */
  readonly ended: boolean;
  /** The errno of a reset. */
  readonly error: string | undefined;
}

export interface TcpTarget {
  readonly server: Server;
  readonly port: number;
  readonly sides: TargetSide[];
  /** The connection with this number, once it is there. */
  side(index?: number): Promise<TargetSide>;
}

/** Waits until it holds, generously; the machine may be slow. */
export async function until(condition: () => boolean, what: string, seconds = 60): Promise<void> {
  for (const end = performance.now() + seconds * 1_000; !condition(); ) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A target on loopback that keeps both directions open until it is told otherwise. */
export async function startTcpTarget(
  onSide: (side: TargetSide) => void = () => undefined,
  address = '127.0.0.1',
): Promise<TcpTarget> {
  const sides: TargetSide[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const received: Buffer[] = [];
    const state: { ended: boolean; error: string | undefined } = { ended: false, error: undefined };
    const side: TargetSide = {
      socket,
      received,
      text: () => Buffer.concat(received).toString(),
      get ended() {
        return state.ended;
      },
      get error() {
        return state.error;
      },
    };
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    socket.on('end', () => {
      state.ended = true;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      state.error = error.code;
    });
    sides.push(side);
    onSide(side);
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  after(() => {
    server.close();
    for (const { socket } of sides) socket.destroy();
  });
  return {
    server,
    port: (server.address() as AddressInfo).port,
    sides,
    async side(index = 0) {
      await until(() => sides.length > index, `connection ${index} at the target`);
      const found = sides[index];
      if (!found) throw new Error('no such connection');
      return found;
    },
  };
}

/** A port on loopback where nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
