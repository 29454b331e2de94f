import { connect, type Socket } from 'node:net';
import type { TcpEnd, TcpSockets } from '../../../src/quic/tcp-socket.js';

/** An app's socket, read in the order of a test. */
export interface AppSocket extends Disposable {
  readonly socket: Socket;
  write(hexOrBytes: string | Uint8Array): void;
  /** The next bytes, exactly so many, in hex; rejects when the connection is over before. */
  read(count: number): Promise<string>;
  /** Everything until it is over, and how that was. */
  rest(): Promise<{ readonly bytes: Buffer; readonly how: 'end' | 'reset' }>;
}

export async function openApp(port: number, host = '127.0.0.1'): Promise<AppSocket> {
  const socket = connect({ port, host, allowHalfOpen: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return appSocket(socket);
}

export function appSocket(socket: Socket): AppSocket {
  let waiting = Buffer.alloc(0);
  let how: 'end' | 'reset' | undefined;
  let changed: () => void = () => undefined;
  socket.on('data', (bytes: Buffer) => {
    waiting = Buffer.concat([waiting, bytes]);
    changed();
  });
  socket.on('end', () => {
    how ??= 'end';
    changed();
  });
  socket.on('error', () => {
    how = 'reset';
    changed();
  });
  const change = (): Promise<void> =>
    new Promise((resolve) => {
      changed = resolve;
    });
  return {
    socket,
    write: (bytes) => {
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes.replaceAll(' ', ''), 'hex') : bytes);
    },
    async read(count) {
      while (waiting.length < count) {
        if (how) throw new Error(`over (${how}) after ${waiting.toString('hex')}`);
        await change();
      }
      const bytes = waiting.subarray(0, count);
      waiting = waiting.subarray(count);
      return bytes.toString('hex');
    },
    async rest() {
      while (!how) await change();
      return { bytes: waiting, how };
    },
    [Symbol.dispose]: () => socket.destroy(),
  };
}

/** An app that reads nothing. libuv tells a paused socket of a reset as an end; the engine does not. */
export async function openUnreadApp(
  tcp: TcpSockets,
  port: number,
): Promise<{ write(hex: string): void; readonly closed: Promise<TcpEnd> }> {
  let over: (end: TcpEnd) => void = () => undefined;
  const closed = new Promise<TcpEnd>((resolve) => {
    over = resolve;
  });
  const nothing = { data: () => undefined, end: () => undefined, drain: () => undefined };
  const remote = { address: '127.0.0.1', port };
  const socket = await tcp.connect({ remote }, { ...nothing, closed: over }, new AbortController().signal);
  return {
    write(hex) {
      const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
      socket.write(bytes, 0, bytes.length);
    },
    closed,
  };
}
