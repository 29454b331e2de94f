import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import tls, { type TLSSocket } from 'node:tls';
import type { SocketAddress } from '../../../src/quic/address.js';
import { certificate } from '../tcp/peers.js';

export const frameType = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
} as const;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** One end of an HTTP/2 connection that speaks in frames and hides nothing. */
export interface FramePeer {
  readonly socket: TLSSocket;
  readonly frames: Frame[];
  send(type: number, flags: number, stream: number, payload?: Uint8Array): void;
  /** The first frame, come or to come, that fits. */
  waitFor(fits: (frame: Frame) => boolean): Promise<Frame>;
  close(): void;
}

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

function framePeer(socket: TLSSocket, skip: number): FramePeer {
  const frames: Frame[] = [];
  const waiters: { fits: (frame: Frame) => boolean; resolve: (frame: Frame) => void }[] = [];
  let input = Buffer.alloc(0);
  let toSkip = skip;
  const peer: FramePeer = {
    socket,
    frames,
    send(type, flags, stream, payload = new Uint8Array()) {
      const head = Buffer.alloc(9);
      head.writeUIntBE(payload.length, 0, 3);
      head[3] = type;
      head[4] = flags;
      head.writeUInt32BE(stream, 5);
      socket.write(Buffer.concat([head, payload]));
    },
    waitFor(fits) {
      const found = frames.find(fits);
      if (found) return Promise.resolve(found);
      return new Promise((resolve) => waiters.push({ fits, resolve }));
    },
    close: () => socket.destroy(),
  };
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    input = Buffer.concat([input, chunk]);
    if (toSkip > 0) {
      const skipped = Math.min(toSkip, input.length);
      input = input.subarray(skipped);
      toSkip -= skipped;
    }
    while (input.length >= 9) {
      const length = input.readUIntBE(0, 3);
      if (input.length < 9 + length) break;
      const frame = {
        type: input[3] ?? 0,
        flags: input[4] ?? 0,
        stream: input.readUInt32BE(5),
        payload: Buffer.from(input.subarray(9, 9 + length)),
      };
      input = input.subarray(9 + length);
      frames.push(frame);
      if (frame.type === frameType.settings && (frame.flags & 1) === 0) {
        peer.send(frameType.settings, 1, 0);
      }
      if (frame.type === frameType.ping && (frame.flags & 1) === 0) {
        peer.send(frameType.ping, 1, 0, frame.payload);
      }
      for (const waiter of waiters) if (waiter.fits(frame)) waiter.resolve(frame);
    }
  });
  return peer;
}

/** A client that talks frames to a server; its preface and SETTINGS are sent. */
export async function frameClient(t: TestContext, remote: SocketAddress): Promise<FramePeer> {
  const socket = tls.connect({
    host: remote.address,
    port: remote.port,
    ca: Buffer.from(certificate.cert),
    servername: 'localhost',
    ALPNProtocols: ['h2'],
  });
  await new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  t.after(() => socket.destroy());
  socket.write(preface);
  const peer = framePeer(socket, 0);
  peer.send(frameType.settings, 0, 0);
  return peer;
}

/** A server that talks frames to the first client that connects. */
export async function frameServer(
  t: TestContext,
  settings: Uint8Array,
): Promise<{ address: SocketAddress; peer: Promise<FramePeer> }> {
  let found: (peer: FramePeer) => void = () => undefined;
  const peer = new Promise<FramePeer>((resolve) => {
    found = resolve;
  });
  const server = tls.createServer(
    { cert: Buffer.from(certificate.cert), key: Buffer.from(certificate.key), ALPNProtocols: ['h2'] },
    (socket) => {
      const made = framePeer(socket, preface.length);
      made.send(frameType.settings, 0, 0, settings);
      t.after(() => socket.destroy());
      found(made);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const bound = server.address() as AddressInfo;
  return {
    address: { address: bound.address, port: bound.port },
    peer,
  };
}

/** A SETTINGS payload. */
export function settingsPayload(entries: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(entries.length * 6);
  entries.forEach(([id, value], index) => {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  });
  return payload;
}

/** A header block of literals without indexing or Huffman coding (RFC 7541 section 6.2.2). */
export function headerBlock(headers: readonly (readonly [name: string, value: string])[]): Buffer {
  const parts: Buffer[] = [];
  const text = (value: string): void => {
    const bytes = Buffer.from(value, 'latin1');
    const length: number[] = [];
    if (bytes.length < 127) length.push(bytes.length);
    else {
      length.push(127);
      let rest = bytes.length - 127;
      for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
      length.push(rest);
    }
    parts.push(Buffer.from(length), bytes);
  };
  for (const [name, value] of headers) {
    parts.push(Buffer.from([0]));
    text(name);
    text(value);
  }
  return Buffer.concat(parts);
}

export const extendedBlock = headerBlock([
  [':method', 'CONNECT'],
  [':protocol', 'connect-udp'],
  [':scheme', 'https'],
  [':authority', 'localhost'],
  [':path', '/.well-known/masque/udp/192.0.2.1/443/'],
  ['capsule-protocol', '?1'],
]);

/** True where the frame says that its sender's direction ends (DATA and HEADERS). */
export function endsStream(frame: Frame): boolean {
  return (frame.type === frameType.data || frame.type === frameType.headers) && (frame.flags & 1) === 1;
}

export function code32(payload: Buffer, offset = 0): number {
  return payload.readUInt32BE(offset);
}
