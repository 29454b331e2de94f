import type {
  Http2Options,
  Http2Session,
  Http2SessionHandler,
  Http2Settings,
} from '../../src/quic/http2-session.js';
import type { TcpEnd, TcpSocket, TcpSocketHandler } from '../../src/quic/tcp-socket.js';
import { never } from './pair.js';
import { settled, TcpPeer, type TcpWorld, until } from './tcp-world.js';

/** Puts a session on a socket of which nothing was granted; the handler is for an implementation that reads it itself. */
export type Http2Attach = (
  socket: TcpSocket,
  options: Http2Options,
  handler: Http2SessionHandler,
) => { readonly session: Http2Session; readonly socketHandler?: TcpSocketHandler };

/** Options for both roles. */
export const settings = {
  initialWindowSize: 4,
  maxFrameSize: 5,
} as const;

export const codes = {
  protocolError: 1,
  flowControlError: 3,
  streamClosed: 5,
  frameSizeError: 6,
  cancel: 8,
  enhanceYourCalm: 11,
} as const;

/** One end of a connection with what it was told. */
export class Http2Peer implements Http2SessionHandler {
  readonly events: string[] = [];
  readonly #chunks = new Map<number, Buffer[]>();
  readonly #received = new Map<number, number>();
  /** Streams that `drain` was told of. */
  readonly drained: number[] = [];
  /** Streams that `sent` was told of. */
  readonly sentAll: number[] = [];
  over: TcpEnd | undefined;
  peerSettings: Http2Settings | undefined;
  session!: Http2Session;

  /** `credit` is granted to streams as they are told of, and again as bytes come. */
  constructor(readonly credit = 1 << 20) {}

  /** Opens a stream with this text as its block. */
  open(stream: number, text: string, endStream = false): void {
    this.head(stream, text, endStream);
    if (this.credit > 0) this.session.grant(stream, this.credit);
  }

  head(stream: number, text: string, endStream = false): void {
    this.session.headers(stream, Buffer.from(text), endStream);
  }

  send(stream: number, bytes: Uint8Array | string): boolean {
    const buffer = Buffer.from(bytes);
    return this.session.write(stream, buffer, 0, buffer.length);
  }

  bytes(stream: number): Buffer {
    return Buffer.concat(this.#chunks.get(stream) ?? []);
  }

  received(stream: number): number {
    return this.#received.get(stream) ?? 0;
  }

  text(stream: number): string {
    return this.bytes(stream).toString();
  }

  has(event: string): boolean {
    return this.events.includes(event);
  }

  headers(stream: number, block: Uint8Array, endStream: boolean): void {
    const text = block.length > 100 ? `${block.length} bytes` : Buffer.from(block).toString();
    this.events.push(`headers ${stream} ${text}${endStream ? ' end' : ''}`);
    if (this.credit > 0) this.session.grant(stream, this.credit);
  }

  data(stream: number, bytes: Uint8Array, start: number, end: number): void {
    const chunks = this.#chunks.get(stream) ?? [];
    chunks.push(Buffer.from(bytes.subarray(start, end)));
    this.#chunks.set(stream, chunks);
    this.#received.set(stream, this.received(stream) + end - start);
    if (this.events.at(-1) !== `data ${stream}`) this.events.push(`data ${stream}`);
    if (this.credit > 0) this.session.grant(stream, end - start);
  }

  end(stream: number): void {
    this.events.push(`end ${stream}`);
  }

  reset(stream: number, code: number): void {
    this.events.push(`reset ${stream} ${code}`);
  }

  drain(stream: number): void {
    this.drained.push(stream);
  }

  sent(stream: number): void {
    this.sentAll.push(stream);
  }

  settings(values: Http2Settings): void {
    this.peerSettings = { ...values };
    this.events.push(`settings ${JSON.stringify(values)}`);
  }

  pong(payload: Uint8Array): void {
    this.events.push(`pong ${Buffer.from(payload).toString()}`);
  }

  goaway(lastStream: number, code: number, debug: string): void {
    this.events.push(`goaway ${lastStream} ${code} ${debug}`);
  }

  failed(code: number): void {
    this.events.push(`failed ${code}`);
  }

  closed(end: TcpEnd): void {
    this.over = end;
    this.events.push(end.kind === 'ended' ? 'closed' : `closed by a reset, ${end.by}`);
  }
}

const defaults = { settings: { 4: 262_144 }, connectionWindow: 1 << 20, headerBlockSize: 65_536 };

export type PeerOptions = Partial<Omit<Http2Options, 'role'>>;

/** Hands on to what is there only later. */
function later(): { readonly handler: TcpSocketHandler; to: TcpSocketHandler | undefined } {
  const link: { handler: TcpSocketHandler; to: TcpSocketHandler | undefined } = {
    to: undefined,
    handler: {
      data: (bytes, start, end) => link.to?.data(bytes, start, end),
      end: () => link.to?.end(),
      drain: () => link.to?.drain(),
      closed: (end) => link.to?.closed(end),
    },
  };
  return link;
}

/** Two sessions of one connection. */
export async function http2Pair(
  world: TcpWorld,
  attach: Http2Attach,
  client = new Http2Peer(),
  server = new Http2Peer(),
  options: { readonly client?: PeerOptions; readonly server?: PeerOptions } = {},
): Promise<{ readonly client: Http2Peer; readonly server: Http2Peer }> {
  const listener = await world.server.listen({ local: { address: world.address, port: 0 } }, (socket) => {
    const link = later();
    const attached = attach(socket, { role: 'server', ...defaults, ...options.server }, server);
    server.session = attached.session;
    link.to = attached.socketHandler;
    return link.handler;
  });
  const link = later();
  const dialling = world.client.connect({ remote: listener.localAddress }, link.handler, never);
  const socket = await settled(world, dialling);
  const attached = attach(socket, { role: 'client', ...defaults, ...options.client }, client);
  client.session = attached.session;
  link.to = attached.socketHandler;
  await until(world, () => client.peerSettings !== undefined && server.peerSettings !== undefined);
  listener.close();
  return { client, server };
}

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array | string = '',
): Buffer {
  const content = Buffer.from(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(content.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, content]);
}

/** Frames by hand on the other end of a session. */
export class RawHttp2 extends TcpPeer {
  constructor() {
    super(1 << 20);
  }

  put(...frames: Uint8Array[]): void {
    const bytes = Buffer.concat(frames);
    this.socket.write(bytes, 0, bytes.length);
  }

  /** The whole frames that came. */
  frames(): Frame[] {
    let rest = Buffer.concat(this.chunks);
    if (rest.subarray(0, preface.length).equals(preface)) rest = rest.subarray(preface.length);
    const frames: Frame[] = [];
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const length = rest.readUIntBE(0, 3);
      frames.push({
        type: rest[3] as number,
        flags: rest[4] as number,
        stream: rest.readUInt32BE(5),
        payload: rest.subarray(9, 9 + length),
      });
      rest = rest.subarray(9 + length);
    }
    return frames;
  }

  /** Bytes that the window of a stream was given back by. */
  givenBack(stream: number): number {
    return this.frames()
      .filter((frame) => frame.type === 8 && frame.stream === stream)
      .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);
  }

  /** The code of the GOAWAY that came. */
  goawayCode(): number | undefined {
    return this.frames()
      .find(({ type }) => type === 7)
      ?.payload.readUInt32BE(4);
  }

  /** What came in DATA frames of a stream. */
  content(stream: number): Buffer {
    const data = this.frames().filter((each) => each.type === 0 && each.stream === stream);
    return Buffer.concat(data.map(({ payload }) => payload));
  }
}

/** A session whose peer is frames by hand. */
export async function rawPair(
  world: TcpWorld,
  attach: Http2Attach,
  role: 'client' | 'server' = 'server',
  options: PeerOptions = {},
  peer = new Http2Peer(),
): Promise<{ readonly raw: RawHttp2; readonly peer: Http2Peer }> {
  const raw = new RawHttp2();
  const listener = await world.server.listen({ local: { address: world.address, port: 0 } }, (socket) => {
    const link = later();
    const attached = attach(socket, { role, ...defaults, ...options }, peer);
    peer.session = attached.session;
    link.to = attached.socketHandler;
    return link.handler;
  });
  const dialling = world.client.connect({ remote: listener.localAddress }, raw, never);
  const socket = await settled(world, dialling);
  raw.attach(socket);
  await until(world, () => (options.greeted ? peer.session !== undefined : raw.frames().length > 0));
  listener.close();
  return { raw, peer };
}
