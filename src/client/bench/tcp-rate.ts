import type { Duplex } from 'node:stream';
import type { Clock } from '../../clock/clock.js';
import { BautaError } from '../../protocol/bauta-error.js';
import { LINES, SINK_REPORT } from './tcp-responder.js';
import type { Direction } from './udp-rate.js';
import { pause } from './waiting.js';

/** A tunnel, or a plain connection to compare with. */
export type ByteStream = Pick<
  Duplex,
  'on' | 'removeAllListeners' | 'write' | 'writable' | 'destroyed' | 'destroy'
>;

/** What TCP tunnels carried together, one way. */
export interface TcpRate {
  readonly direction: Direction;
  readonly streams: number;
  /** Bytes at the far end of the direction. */
  readonly bytes: number;
  readonly megabytesPerSecond: number;
  readonly megabitsPerSecond: number;
}

export interface TcpRateOptions {
  readonly direction: Direction;
  readonly streams: number;
  /** Milliseconds of measuring, after `warmUp` milliseconds. */
  readonly duration: number;
  readonly warmUp: number;
  readonly open: () => Promise<ByteStream>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told when measuring begins, and when it ends. */
  readonly measuring?: (edge: 'begin' | 'end') => void;
}

/** One stream's bytes so far. */
interface Flow {
  readonly stream: ByteStream;
  /** Bytes at the far end, and when (milliseconds) that was known. */
  count(): { readonly bytes: number; readonly at: number };
}

const CHUNK = Buffer.alloc(128 * 1_024, 0x62);

function startDown(stream: ByteStream, clock: Clock): Flow {
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  stream.write(LINES.source);
  return { stream, count: () => ({ bytes, at: clock.now() }) };
}

function startUp(stream: ByteStream): Flow {
  let [bytes, at] = [0, 0];
  let rest: Buffer = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    rest = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    for (; rest.length >= SINK_REPORT; rest = rest.subarray(SINK_REPORT)) {
      bytes = Number(rest.readBigUInt64BE(0));
      at = Number(rest.readBigUInt64BE(8)) / 1_000;
    }
  });
  const fill = (): void => {
    while (!stream.destroyed && stream.writable && stream.write(CHUNK));
  };
  stream.on('drain', fill);
  stream.write(LINES.sink);
  fill();
  return { stream, count: () => ({ bytes, at }) };
}

/**
 * Opens the streams, lets them run into their stride, and measures at the receiving end (an upload by what the
 * responder says it has got). Rejects with what `open` does, and with `ERR_TUNNEL_RESET` where a stream ends early.
 */
export async function measureTcpRate(options: TcpRateOptions): Promise<TcpRate> {
  const { clock, direction, signal } = options;
  const broken = new AbortController();
  let failure: BautaError | undefined;
  const streams: ByteStream[] = [];
  const fail = (error?: unknown): void => {
    failure ??=
      error instanceof BautaError
        ? error
        : new BautaError('ERR_TUNNEL_RESET', {
            detail: error instanceof Error ? error.message : 'ended early',
          });
    broken.abort();
  };
  const stop = AbortSignal.any([signal, broken.signal]);
  try {
    const opened = await Promise.allSettled(Array.from({ length: options.streams }, () => options.open()));
    for (const result of opened) if (result.status === 'fulfilled') streams.push(result.value);
    for (const result of opened) if (result.status === 'rejected') throw result.reason;
    const flows = streams.map((stream) => {
      stream.on('error', fail);
      stream.on('end', () => fail());
      return direction === 'down' ? startDown(stream, clock) : startUp(stream);
    });
    await pause(clock, options.warmUp, stop);
    options.measuring?.('begin');
    const before = flows.map((flow) => flow.count());
    await pause(clock, options.duration, stop);
    const after = flows.map((flow) => flow.count());
    options.measuring?.('end');
    let [bytes, perMillisecond] = [0, 0];
    for (const [index, end] of after.entries()) {
      const start = before[index] ?? { bytes: 0, at: 0 };
      bytes += end.bytes - start.bytes;
      if (end.at > start.at) perMillisecond += (end.bytes - start.bytes) / (end.at - start.at);
    }
    return {
      direction,
      streams: options.streams,
      bytes,
      megabytesPerSecond: perMillisecond / 1_000,
      megabitsPerSecond: (perMillisecond * 8) / 1_000,
    };
  } catch (error) {
    throw failure ?? error;
  } finally {
    for (const stream of streams) {
      stream.removeAllListeners('end');
      stream.on('error', () => undefined);
      stream.destroy();
    }
  }
}
