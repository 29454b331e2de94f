import { encodeH3Frame, h3FrameTypes } from '../../../src/protocol/h3-frame.js';
import { encodeFieldSection } from '../../../src/protocol/qpack/encoder.js';
import { encodeVarint } from '../../../src/protocol/varint.js';
import type { QuicCloseReason, QuicConnection, QuicConnectionHandler } from '../../../src/quic/connection.js';
import type { QuicConnectOptions, QuicEngine, QuicTransportOptions } from '../../../src/quic/engine.js';
import type { QuicStream, QuicStreamHandler } from '../../../src/quic/stream.js';
import { clientAddress, connectOptions, listen, type Network } from './simulated-http.js';

/** A QUIC stream written and read by hand. */
export interface RawStream {
  readonly quic: QuicStream;
  /** `end`, `reset CODE`, `stopped CODE`; codes in hexadecimal. */
  readonly events: string[];
  received: Buffer;
}

/** A peer that speaks nothing by itself. */
export interface RawPeer {
  readonly quic: QuicConnection;
  readonly close: QuicCloseReason | undefined;
  /** Streams that the other side opened. */
  readonly theirs: RawStream[];
  readonly datagrams: Buffer[];
  open(bytes?: Uint8Array): RawStream;
  openUnidirectional(bytes?: Uint8Array): RawStream;
  datagram(bytes: Uint8Array): void;
}

interface Recording {
  readonly handler: QuicConnectionHandler;
  readonly peer: (quic: QuicConnection) => RawPeer;
}

function rawStream(): { events: string[]; received: Buffer; handler: QuicStreamHandler } {
  const stream = {
    events: [] as string[],
    received: Buffer.alloc(0),
    handler: {
      data(bytes: Uint8Array, start: number, end: number) {
        stream.received = Buffer.concat([stream.received, bytes.subarray(start, end)]);
      },
      end: () => stream.events.push('end'),
      reset: (code: number) => stream.events.push(`reset ${code.toString(16)}`),
      stopped: (code: number) => stream.events.push(`stopped ${code.toString(16)}`),
      drain: () => undefined,
      lost: () => undefined,
    },
  };
  return stream;
}

function recording(): Recording {
  const theirs: RawStream[] = [];
  const datagrams: Buffer[] = [];
  let close: QuicCloseReason | undefined;
  const opened = (quic: QuicStream, stream: ReturnType<typeof rawStream>): RawStream => {
    quic.grant(1 << 24);
    return Object.assign(stream, { quic });
  };
  const start = (stream: RawStream, bytes: Uint8Array | undefined): RawStream => {
    if (bytes) stream.quic.write(bytes, 0, bytes.length);
    return stream;
  };
  return {
    handler: {
      stream(quic) {
        const stream = rawStream();
        theirs.push(opened(quic, stream));
        return stream.handler;
      },
      datagram(bytes, from, to) {
        datagrams.push(Buffer.from(bytes.subarray(from, to)));
      },
      maxDatagramSize: () => undefined,
      closed(reason) {
        close = reason;
      },
    },
    peer: (quic) => ({
      quic,
      theirs,
      datagrams,
      get close() {
        return close;
      },
      open(bytes) {
        const stream = rawStream();
        return start(opened(quic.openBidirectional(stream.handler), stream), bytes);
      },
      openUnidirectional(bytes) {
        const stream = rawStream();
        return start(opened(quic.openUnidirectional(stream.handler), stream), bytes);
      },
      datagram(bytes) {
        quic.sendDatagram(new Uint8Array(0), bytes, 0, bytes.length);
      },
    }),
  };
}

/** A client that connects to the HTTP/3 server of `net` and then does what the test does. */
export async function rawClient(net: Network, transport: QuicTransportOptions = {}): Promise<RawPeer> {
  const { handler, peer } = recording();
  const connecting = net.network
    .engine(clientAddress)
    .connect(connectOptions(transport), () => handler, new AbortController().signal);
  await net.clock.advanceAsync(100);
  return peer(await connecting);
}

/** A client of a server on a real engine. */
export async function rawClientOn(engine: QuicEngine, options: QuicConnectOptions): Promise<RawPeer> {
  const { handler, peer } = recording();
  return peer(await engine.connect(options, () => handler, AbortSignal.timeout(60_000)));
}

/** A server that takes one connection; the promise resolves with it. */
export async function rawServer(
  net: Network,
  transport: QuicTransportOptions = {},
): Promise<Promise<RawPeer>> {
  let up: (peer: RawPeer) => void;
  const accepted = new Promise<RawPeer>((resolve) => {
    up = resolve;
  });
  const { handler, peer } = recording();
  await listen(
    net,
    (quic) => {
      up(peer(quic));
      return handler;
    },
    transport,
  );
  return accepted;
}

export const join = (...parts: (Uint8Array | readonly number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => Uint8Array.from(part)));

export const varint = (value: number): Uint8Array => encodeVarint(value);

export const frame = (type: number, payload: Uint8Array | readonly number[] = []): Uint8Array =>
  encodeH3Frame(type, Uint8Array.from(payload));

export const idFrame = (type: number, id: number): Uint8Array => frame(type, varint(id));

export const data = (text: string): Uint8Array => frame(h3FrameTypes.DATA, Buffer.from(text, 'latin1'));

export const headers = (...lines: (readonly [string, string])[]): Uint8Array =>
  frame(h3FrameTypes.HEADERS, encodeFieldSection(lines));

export const settings = (...pairs: (readonly [number, number])[]): Uint8Array =>
  frame(h3FrameTypes.SETTINGS, join(...pairs.flatMap(([id, value]) => [varint(id), varint(value)])));

/** A control stream that allows everything. */
export const control = (...frames: Uint8Array[]): Buffer =>
  join([0x00], settings([0x08, 1], [0x33, 1]), ...frames);

export const get = (...more: (readonly [string, string])[]): Uint8Array =>
  headers([':method', 'GET'], [':scheme', 'https'], [':authority', 'proxy.test'], [':path', '/'], ...more);

export const post = (...more: (readonly [string, string])[]): Uint8Array =>
  headers([':method', 'POST'], [':scheme', 'https'], [':authority', 'proxy.test'], [':path', '/'], ...more);

export const connect = (): Uint8Array => headers([':method', 'CONNECT'], [':authority', 'target.test:443']);

export const connectUdp = (): Uint8Array =>
  headers(
    [':method', 'CONNECT'],
    [':protocol', 'connect-udp'],
    [':scheme', 'https'],
    [':authority', 'proxy.test'],
    [':path', '/.well-known/masque/udp/192.0.2.9/53/'],
  );
