import { createVirtualClock } from '../../src/clock/virtual-clock.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { createSimulatedNetwork } from '../../src/quic/simulated/network.js';
import type {
  TcpConnectOptions,
  TcpEnd,
  TcpListener,
  TcpSocket,
  TcpSocketHandler,
  TcpSockets,
} from '../../src/quic/tcp-socket.js';
import { delay, never } from './pair.js';

/** Where the suite runs: two hosts, or one that talks to itself. */
export interface TcpWorld {
  readonly client: TcpSockets;
  readonly server: TcpSockets;
  readonly address: string;
  /** Lets a little time pass. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

export function nativeWorld(address = '127.0.0.1'): TcpWorld {
  const engine = createNativeEngine();
  return {
    client: engine.tcp,
    server: engine.tcp,
    address,
    settle: () => delay(5),
    close: () => engine.close(),
  };
}

export function simulatedWorld(): TcpWorld {
  const clock = createVirtualClock();
  const network = createSimulatedNetwork({ clock });
  const client = network.engine('192.0.2.1');
  const server = network.engine('192.0.2.2');
  return {
    client: client.tcp,
    server: server.tcp,
    address: '192.0.2.2',
    settle: () => clock.advanceAsync(5),
    async close() {
      await Promise.all([client.close(), server.close()]);
      await clock.advanceAsync(1000);
    },
  };
}

/** One end with what it was told. */
export class TcpPeer implements TcpSocketHandler {
  readonly events: string[] = [];
  readonly chunks: Buffer[] = [];
  received = 0;
  drains = 0;
  /** Whether the end was one of TLS without close_notify. */
  truncated: boolean | undefined;
  over: TcpEnd | undefined;
  #socket: TcpSocket | undefined;

  /** `credit` is granted again as bytes come. */
  constructor(private readonly credit = 0) {}

  get socket(): TcpSocket {
    if (!this.#socket) throw new Error('not connected');
    return this.#socket;
  }

  attach(socket: TcpSocket): this {
    this.#socket = socket;
    if (this.credit > 0) socket.grant(this.credit);
    return this;
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.chunks.push(Buffer.from(bytes.subarray(start, end)));
    this.received += end - start;
    if (this.events.at(-1) !== 'data') this.events.push('data');
    if (this.credit > 0) this.socket.grant(end - start);
  }

  end(truncated?: boolean): void {
    this.truncated = truncated;
    this.events.push('end');
  }

  drain(): void {
    this.drains++;
  }

  closed(how: TcpEnd): void {
    this.over = how;
    this.events.push(how.kind === 'ended' ? 'ended' : `reset by ${how.by}: ${how.errno}`);
  }

  text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  send(text: string): boolean {
    const bytes = Buffer.from(`-${text}-`);
    return this.socket.write(bytes, 1, bytes.length - 1);
  }
}

/** Lets time pass until the condition holds; the test's own timeout bounds it. */
export async function until(world: TcpWorld, condition: () => boolean): Promise<void> {
  while (!condition()) await world.settle();
}

/** Lets time pass until the promise is settled. */
export async function settled<T>(world: TcpWorld, promise: Promise<T>): Promise<T> {
  let done = false;
  const finish = (): void => {
    done = true;
  };
  promise.then(finish, finish);
  await until(world, () => done);
  return promise;
}

export interface TcpPair {
  readonly listener: TcpListener;
  readonly client: TcpPeer;
  readonly server: TcpPeer;
}

export interface TcpPairOptions {
  readonly clientCredit?: number;
  readonly serverCredit?: number;
  readonly connect?: Partial<TcpConnectOptions>;
}

export const plenty = 1 << 20;

/** A client and a server, connected; each reads all that comes unless told otherwise. */
export async function tcpPair(world: TcpWorld, options: TcpPairOptions = {}): Promise<TcpPair> {
  const { clientCredit = plenty, serverCredit = plenty } = options;
  const servers: TcpPeer[] = [];
  const local = { address: world.address, port: 0 };
  const listener = await settled(
    world,
    world.server.listen({ local }, (socket) => {
      const peer = new TcpPeer(serverCredit).attach(socket);
      servers.push(peer);
      return peer;
    }),
  );
  const client = new TcpPeer(clientCredit);
  const remote = listener.localAddress;
  client.attach(await settled(world, world.client.connect({ remote, ...options.connect }, client, never)));
  await until(world, () => servers.length === 1);
  listener.close();
  const [server] = servers;
  if (!server) throw new Error('nobody was accepted');
  return { listener, client, server };
}
