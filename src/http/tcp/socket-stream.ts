import { Duplex } from 'node:stream';
import type { TcpEnd } from '../../quic/tcp-socket.js';
import type { Carrier } from './carrier.js';
import { lossError } from './loss.js';
import type { TcpConnection } from './tcp-connection.js';

/** A TCP connection as the stream that Node's HTTP takes for a socket, until it is detached. */
export interface SocketStream extends Carrier {
  /**
   * What is still to be written goes to the connection, and this lets go of it for good: whoever asks holds it from
   * here on (`TcpConnection.hold`). Returns what came and was not read, first byte first; the connection knows the
   * rest: an end, the credit.
   */
  detach(): Buffer[];
}

/** `first` was received before. The stream ends when the connection does; `destroy` in its middle resets it. */
export function createSocketStream(connection: TcpConnection, first: readonly Buffer[] = []): SocketStream {
  return new TcpSocketStream(connection, first);
}

const HIGH_WATER = 48 * 1024;

/** Granted even so, as Node's stream asks before it takes what it has, and then only once. */
const LEAST = 16 * 1024;

/** Writes up to this size in all go out as one. */
const JOINED = 16 * 1024;

class TcpSocketStream extends Duplex implements SocketStream {
  /** As Node's agents read it: there is no time limit here. */
  readonly timeout = 0;
  private detached = false;
  /** Told once the connection takes bytes again. */
  private whenRoom: ((error?: Error | null) => void) | undefined;

  constructor(
    private readonly connection: TcpConnection,
    first: readonly Buffer[],
  ) {
    super({ allowHalfOpen: true, highWaterMark: HIGH_WATER });
    for (const bytes of first) if (bytes.length > 0) this.push(bytes);
    connection.hold({
      data: (bytes, start, end) => {
        if (!this.destroyed) this.push(Buffer.from(bytes.subarray(start, end)));
      },
      end: () => {
        if (!this.destroyed) this.push(null);
      },
      drain: () => this.room(),
      closed: (how) => this.over(how),
    });
    if (connection.over) this.over(connection.over);
    else if (connection.peerEnd) this.push(null);
  }

  get bytesRead(): number {
    return this.connection.bytesReceived;
  }

  detach(): Buffer[] {
    if (this.detached) return [];
    this.detached = true;
    while (this.writableCorked > 0) this.uncork();
    this.room();
    this.removeAllListeners('data');
    this.removeAllListeners('readable');
    this.pause();
    const unread: Buffer[] = [];
    for (let bytes: Buffer | null = this.read(); bytes; bytes = this.read()) unread.push(bytes);
    this.destroy();
    return unread;
  }

  // what Node's stream asks for

  override _read(): void {
    if (this.detached) return;
    const { connection } = this;
    const room = HIGH_WATER - this.readableLength - connection.credit;
    connection.grant(room <= 0 && connection.credit === 0 ? LEAST : room);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.send([chunk], done);
  }

  override _writev(writes: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    const chunks = writes.map(({ chunk }) => chunk);
    const size = chunks.reduce((sum, { length }) => sum + length, 0);
    this.send(size <= JOINED ? [Buffer.concat(chunks, size)] : chunks, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (!this.detached) this.connection.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const { connection } = this;
    const inTheMiddle = !connection.over && (connection.writable || !connection.peerEnd);
    if (inTheMiddle && !this.detached) connection.reset();
    this.room(error ?? lossError('ECONNRESET'));
    done(error);
  }

  // what users of a socket expect

  resetAndDestroy(): this {
    if (!this.detached) this.connection.reset();
    return this.destroy();
  }

  /** Nothing to do: bytes go out at once, and the connection keeps itself alive. */
  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  /** Nothing to do: the process is held, or not, by whoever has the connection. */
  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  // within

  private send(chunks: readonly Buffer[], done: (error?: Error | null) => void): void {
    const { connection } = this;
    if (!connection.writable) {
      done(lossError('EPIPE'));
      return;
    }
    let room = true;
    for (const chunk of chunks) room = connection.socket.write(chunk, 0, chunk.length);
    if (room || this.detached) done();
    else this.whenRoom = done;
  }

  private room(error?: Error): void {
    const done = this.whenRoom;
    this.whenRoom = undefined;
    done?.(error);
  }

  private over(how: TcpEnd): void {
    if (how.kind === 'ended') return;
    this.destroy(how.by === 'peer' ? lossError(how.errno) : undefined);
  }
}
