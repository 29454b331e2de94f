import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../../clock/clock.js';
import type { SocketAddress } from '../../quic/address.js';

/*
 * A connection's first line says what it is for: `bauta-bench 1 sink` or `bauta-bench 1 source`. A sink reads, and
 * tells every 100 ms, and once more after the end, how many bytes came and how many microseconds after the first
 * one: two integers of 8 bytes, big-endian. A source writes until the other side has had enough.
 */

export const LINES = { sink: 'bauta-bench 1 sink\n', source: 'bauta-bench 1 source\n' } as const;
export type TcpMode = keyof typeof LINES;
export const SINK_REPORT = 16;

export interface TcpResponder {
  readonly localAddress: SocketAddress;
  close(): Promise<void>;
}

export interface TcpResponderOptions {
  readonly local: SocketAddress;
  readonly clock: Clock;
  /** Connections at once; default 256. More are closed. */
  readonly maxConnections?: number;
}

const LINE_TIME = 5_000;
const LONGEST = 300_000;
const REPORT_EVERY = 100;
const CHUNK = Buffer.alloc(256 * 1_024);

function modeOf(line: Buffer): TcpMode | 'unknown' | undefined {
  const text = line.toString('latin1');
  for (const mode of ['sink', 'source'] as const) {
    if (text === LINES[mode]) return mode;
    if (LINES[mode].startsWith(text)) return undefined;
  }
  return 'unknown';
}

function serveSource(socket: Socket): void {
  const fill = (): void => {
    while (!socket.destroyed && socket.write(CHUNK));
  };
  socket.on('drain', fill);
  // The other side's end says that it has had enough.
  socket.on('end', () => socket.resetAndDestroy());
  socket.resume();
  fill();
}

function serveSink(socket: Socket, clock: Clock): void {
  let bytes = 0;
  let first: number | undefined;
  let last = 0;
  const report = (): void => {
    if (socket.destroyed || first === undefined) return;
    const text = Buffer.alloc(SINK_REPORT);
    text.writeBigUInt64BE(BigInt(bytes), 0);
    text.writeBigUInt64BE(BigInt(Math.round((last - first) * 1_000)), 8);
    socket.write(text);
  };
  const timer = setInterval(() => {
    if (socket.writableLength === 0) report();
  }, REPORT_EVERY);
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    last = clock.now();
    first ??= last;
  });
  socket.on('end', () => {
    report();
    socket.end();
  });
  socket.on('close', () => clearInterval(timer));
}

function serve(socket: Socket, clock: Clock): void {
  const line = Buffer.alloc(LINES.source.length);
  let length = 0;
  const early = clock.setTimeout(() => socket.destroy(), LINE_TIME);
  const late = clock.setTimeout(() => socket.destroy(), LONGEST);
  socket.on('error', () => undefined);
  socket.on('close', () => {
    clock.clearTimeout(early);
    clock.clearTimeout(late);
  });
  const onData = (chunk: Buffer): void => {
    for (let at = 0; at < chunk.length; at++) {
      line[length++] = chunk[at] ?? 0;
      const mode = modeOf(line.subarray(0, length));
      if (mode === undefined && length < line.length) continue;
      socket.off('data', onData);
      clock.clearTimeout(early);
      if (mode === 'source') serveSource(socket);
      else if (mode === 'sink') {
        serveSink(socket, clock);
        if (at + 1 < chunk.length) socket.emit('data', chunk.subarray(at + 1));
      } else socket.destroy();
      return;
    }
  };
  socket.on('data', onData);
}

/** Sinks and sources for a speed test over TCP. Rejects with the error of `node:net`. */
export async function openTcpResponder(options: TcpResponderOptions): Promise<TcpResponder> {
  const { clock, maxConnections = 256 } = options;
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    if (sockets.size >= maxConnections) {
      socket.on('error', () => undefined);
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serve(socket, clock);
  });
  server.listen({ host: options.local.address, port: options.local.port, ipv6Only: true });
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('not a TCP address');
  return {
    localAddress: { address: bound.address, port: bound.port },
    async close() {
      const gone = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await gone;
    },
  };
}
