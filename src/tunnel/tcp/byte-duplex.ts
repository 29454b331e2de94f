import { Duplex } from 'node:stream';
import type { Clock, Timer } from '../../clock/clock.js';
import { BautaError } from '../../protocol/bauta-error.js';
import type { SideEnd } from '../side-end.js';
import { ByteFlow } from './byte-flow.js';
import type { ByteSide, ByteSideHandler } from './byte-side.js';

/**
 * A side of a TCP tunnel as the stream that Node's libraries take for a socket: `http.Agent`, `tls.connect`,
 * WebSocket and database drivers. It may be half open. A reset is an `error` event with `BautaError`
 * ERR_TUNNEL_RESET, the loss of the connection one with ERR_CONNECTION_LOST. `destroy` before both directions
 * have ended resets.
 */
export interface ByteDuplex extends Duplex {
  /** Milliseconds that `setTimeout` was given; 0 without. */
  readonly timeout: number;
  /** Payload bytes, as of `net.Socket`. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Resets the tunnel in both directions. */
  resetAndDestroy(): this;
  /** Nothing to do: bytes always go out at once. */
  setNoDelay(noDelay?: boolean): this;
  /** Nothing to do: those who hold the connection to the proxy and the target's socket keep them alive. */
  setKeepAlive(enable?: boolean, initialDelay?: number): this;
  /** Emits `timeout` after so many milliseconds without a byte in either direction; 0 turns it off. */
  setTimeout(milliseconds: number, callback?: () => void): this;
  /** Whether the tunnel keeps the process from its end; it does until `unref`. */
  ref(): this;
  unref(): this;
}

export interface ByteDuplexBinding {
  readonly duplex: ByteDuplex;
  /** Give this to the side when it is made. */
  readonly handler: ByteSideHandler;
  /** Tells which side it is; what was written before waits until here. */
  attach(side: ByteSide): void;
}

export interface ByteDuplexOptions {
  readonly clock: Clock;
  /** False lets the process end although the tunnel is open; called by `ref` and `unref`. */
  holdProcess?(hold: boolean): void;
}

export function createByteDuplex(options: ByteDuplexOptions): ByteDuplexBinding {
  const stream = new ByteDuplexStream(options);
  return {
    duplex: stream,
    handler: {
      data: (bytes, start, end) => stream.received(bytes, start, end),
      end: () => stream.peerEnded(),
      drain: () => stream.room(),
      closed: (how) => stream.over(how),
    },
    attach: (side) => stream.attach(side),
  };
}

const HIGH_WATER = 64 * 1024;

/** Writes up to this size in all go out as one. */
const JOINED = 16 * 1024;

interface Waiting {
  readonly chunks: readonly Buffer[];
  done(error?: Error | null): void;
}

class ByteDuplexStream extends Duplex implements ByteDuplex {
  timeout = 0;
  bytesWritten = 0;
  private side: ByteSide | undefined;
  /** The readable half, which takes copies: the views are the side's. */
  private readonly reader: ByteSide = {
    buffered: 0,
    grant: () => undefined,
    write: (bytes, start, end) => this.push(Buffer.from(bytes.subarray(start, end))),
    end: () => this.push(null),
    reset: () => undefined,
  };
  private readonly flow = new ByteFlow();
  /** Told once the side takes bytes again. */
  private whenRoom: ((error?: Error | null) => void) | undefined;
  /** Written, or ended, before there was a side. */
  private early: Waiting | undefined;
  private endsEarly = false;
  private sentEnd = false;
  private gotEnd = false;
  private sideOver = false;
  private timer: Timer | undefined;
  private lastActive = 0;

  constructor(private readonly options: ByteDuplexOptions) {
    super({ allowHalfOpen: true, highWaterMark: HIGH_WATER, decodeStrings: true });
  }

  get bytesRead(): number {
    return this.flow.bytes;
  }

  // what the side tells

  attach(side: ByteSide): void {
    this.side = side;
    if (this.destroyed) {
      side.reset('cancelled');
      return;
    }
    this.flow.start(side, this.reader);
    const { early } = this;
    this.early = undefined;
    if (early) this.send(early.chunks, early.done);
    if (this.endsEarly) side.end();
  }

  received(bytes: Uint8Array, start: number, end: number): void {
    this.active();
    this.flow.data(bytes, start, end);
  }

  peerEnded(): void {
    this.active();
    this.gotEnd = true;
    this.flow.end();
  }

  room(): void {
    const { whenRoom } = this;
    this.whenRoom = undefined;
    whenRoom?.();
  }

  over(how: SideEnd): void {
    this.sideOver = true;
    if (how.kind === 'reset') this.destroy(new BautaError('ERR_TUNNEL_RESET', { detail: how.reason }));
    else if (how.kind === 'lost') this.destroy(new BautaError('ERR_CONNECTION_LOST', { detail: how.detail }));
    else if (!this.sentEnd) this.whenRoom?.(notTaken());
  }

  // what Node's stream asks for

  override _read(): void {
    this.flow.drain();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.send([chunk], done);
  }

  override _writev(
    writes: { chunk: Buffer; encoding: BufferEncoding }[],
    done: (error?: Error | null) => void,
  ): void {
    let size = 0;
    const chunks: Buffer[] = [];
    for (const { chunk } of writes) {
      chunks.push(chunk);
      size += chunk.length;
    }
    this.send(size <= JOINED ? [Buffer.concat(chunks, size)] : chunks, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.sentEnd = true;
    if (this.side) this.side.end();
    else this.endsEarly = true;
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.options.clock.clearTimeout(this.timer);
    this.timer = undefined;
    if (!this.sideOver && !(this.sentEnd && this.gotEnd)) this.side?.reset('cancelled');
    const waiting = this.whenRoom ?? this.early?.done;
    this.whenRoom = undefined;
    this.early = undefined;
    waiting?.(error ?? notTaken());
    done(error);
  }

  // what users of a socket expect

  resetAndDestroy(): this {
    const cut = !this.sideOver;
    this.sideOver = true;
    this.destroy();
    // Destroyed before: a reset may be told at once, and is no error to whoever asked for it.
    if (cut) this.side?.reset('cancelled');
    return this;
  }

  setNoDelay(_noDelay?: boolean): this {
    return this;
  }

  setKeepAlive(_enable?: boolean, _initialDelay?: number): this {
    return this;
  }

  setTimeout(milliseconds: number, callback?: () => void): this {
    this.timeout = milliseconds;
    this.options.clock.clearTimeout(this.timer);
    this.timer = undefined;
    if (milliseconds > 0) {
      if (callback) this.once('timeout', callback);
      this.active();
    } else if (callback) {
      this.off('timeout', callback);
    }
    return this;
  }

  ref(): this {
    this.options.holdProcess?.(true);
    return this;
  }

  unref(): this {
    this.options.holdProcess?.(false);
    return this;
  }

  // within

  private send(chunks: readonly Buffer[], done: (error?: Error | null) => void): void {
    const { side } = this;
    if (!side) {
      this.early = { chunks, done };
      return;
    }
    if (this.sideOver) {
      done(notTaken());
      return;
    }
    this.active();
    let room = true;
    for (const chunk of chunks) {
      this.bytesWritten += chunk.length;
      room = side.write(chunk, 0, chunk.length);
    }
    if (room) done();
    else this.whenRoom = done;
  }

  /** A byte moved: the silence starts anew. */
  private active(): void {
    if (this.timeout <= 0 || this.destroyed) return;
    const { clock } = this.options;
    this.lastActive = clock.now();
    this.timer ??= this.arm(this.timeout);
  }

  private arm(milliseconds: number): Timer {
    const timer = this.options.clock.setTimeout(() => this.silent(), milliseconds);
    timer.unref();
    return timer;
  }

  private silent(): void {
    this.timer = undefined;
    const left = this.timeout - (this.options.clock.now() - this.lastActive);
    if (left > 0) this.timer = this.arm(left);
    else this.emit('timeout');
  }
}

function notTaken(): BautaError {
  return new BautaError('ERR_TUNNEL_RESET', { detail: 'the other side takes no more bytes' });
}
